//===- RaiseMicrosoftMoE.cpp - experts as one node --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/MicrosoftLayer.h"

using namespace mlir;
using namespace mlir::moe;

/// `weights` (E x out x in) as E x in x out with its bias.
static std::optional<ExpertLinear> getLinear(Value weights, Value bias) {
  std::optional<WeightView> view = WeightView::get(weights);
  if (!view || view->getRank() != 3)
    return std::nullopt;
  view = view->transpose({0, 2, 1});
  return ExpertLinear{Value(), *view, isPresent(bias) ? bias : Value()};
}

LogicalResult moe::raiseMicrosoftMoE(onnx::MicrosoftMoEOp op,
                                     std::optional<Miss> &miss) {
  MicrosoftLayer layer = MicrosoftLayer::get(op);
  RankedTensorType type1 = getTensorType(op.getFc1ExpertsWeights());
  RankedTensorType type2 = getTensorType(op.getFc2ExpertsWeights());
  if (type1.getRank() != 3 || type2.getRank() != 3)
    return op.emitError() << "expected experts' weights of rank 3, got "
                          << type1 << " and " << type2;
  if (failed(layer.checkShapes(type1.getShape(), type2.getShape())))
    return failure();
  std::optional<ExpertLinear> fc1 =
      getLinear(op.getFc1ExpertsWeights(), op.getFc1ExpertsBias());
  std::optional<ExpertLinear> fc2 =
      getLinear(op.getFc2ExpertsWeights(), op.getFc2ExpertsBias());
  if (isPresent(op.getFc3ExpertsWeights()))
    layer.fc3 = getLinear(op.getFc3ExpertsWeights(), op.getFc3ExpertsBias());
  if (!fc1 || !fc2 || (isPresent(op.getFc3ExpertsWeights()) && !layer.fc3)) {
    miss = Miss{"com.microsoft.MoE", "the weights are no initialisers"};
    return success();
  }
  layer.fc1 = *fc1;
  layer.fc2 = *fc2;
  layer.raise(miss);
  return success();
}
