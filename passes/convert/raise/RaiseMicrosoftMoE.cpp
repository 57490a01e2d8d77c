//===- RaiseMicrosoftMoE.cpp - experts as one node --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/ExpertForms.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// The activation, without the swiglu parameters.
std::optional<ActivationKind> getKind(StringRef type) {
  if (type == "silu" || type == "swiglu")
    return ActivationKind::Silu;
  if (type == "gelu")
    return ActivationKind::GeluTanh;
  if (type == "relu")
    return ActivationKind::Relu;
  if (type == "identity")
    return ActivationKind::Identity;
  return std::nullopt;
}

/// `weights` (E x out x in) as E x in x out with its bias.
std::optional<ExpertLinear> getLinear(Value weights, Value bias) {
  std::optional<WeightView> view = WeightView::get(weights);
  if (!view || view->getRank() != 3)
    return std::nullopt;
  view = view->transpose({0, 2, 1});
  return ExpertLinear{Value(), *view, isPresent(bias) ? bias : Value()};
}

/// Errors for what cannot be a layer of experts at all.
LogicalResult checkShapes(onnx::MicrosoftMoEOp op) {
  RankedTensorType logits = getTensorType(op.getRouterProbs());
  RankedTensorType fc1 = getTensorType(op.getFc1ExpertsWeights());
  RankedTensorType fc2 = getTensorType(op.getFc2ExpertsWeights());
  RankedTensorType x = getTensorType(op.getInput());
  if (fc1.getRank() != 3 || fc2.getRank() != 3)
    return op.emitError() << "expected experts' weights of rank 3, got " << fc1
                          << " and " << fc2;
  int64_t experts = fc1.getDimSize(0), k = op.getK();
  if (fc2.getDimSize(0) != experts || logits.getShape().back() != experts)
    return op.emitError() << "expected one number of experts, got " << experts
                          << " in fc1_experts_weights, " << fc2.getDimSize(0)
                          << " in fc2_experts_weights and "
                          << logits.getShape().back() << " in router_probs";
  if (k < 1 || k > experts)
    return op.emitError() << "expected attribute 'k' in [1, " << experts
                          << "], got " << k;
  int64_t hidden = x.getShape().back();
  if (fc1.getDimSize(2) != hidden || fc2.getDimSize(1) != hidden)
    return op.emitError() << "expected the width " << hidden
                          << " of the input in both weights, got "
                          << fc1.getDimSize(2) << " in fc1_experts_weights and "
                          << fc2.getDimSize(1) << " in fc2_experts_weights";
  int64_t inner = fc2.getDimSize(2);
  int64_t expected = op.getSwigluFusion() != 0 ? 2 * inner : inner;
  if (fc1.getDimSize(1) != expected)
    return op.emitError() << "expected " << expected
                          << " outputs in fc1_experts_weights for the inner "
                             "width "
                          << inner << ", got " << fc1.getDimSize(1);
  return success();
}

} // namespace

LogicalResult moe::raiseMicrosoftMoE(onnx::MicrosoftMoEOp op,
                                     std::optional<Miss> &miss) {
  if (failed(checkShapes(op)))
    return failure();
  auto missed = [&](const Twine &reason) {
    miss = Miss{"com.microsoft.MoE", reason.str()};
    return success();
  };
  MLIRContext *context = op.getContext();
  std::optional<ActivationKind> kind = getKind(op.getActivationType());
  if (!kind)
    return missed("activation_type '" + op.getActivationType() +
                  "' is not known");
  std::optional<ExpertLinear> fc1 =
      getLinear(op.getFc1ExpertsWeights(), op.getFc1ExpertsBias());
  std::optional<ExpertLinear> fc2 =
      getLinear(op.getFc2ExpertsWeights(), op.getFc2ExpertsBias());
  if (!fc1 || !fc2)
    return missed("the weights are no initialisers");

  OpBuilder builder(op);
  ExpertsMatch match;
  match.down = *fc2;
  double alpha = 1.0, limit = HUGE_VAL, offset = 0.0;
  if (op.getSwigluFusion() != 0) {
    bool interleaved = op.getSwigluFusion() == 1;
    int64_t inner = fc1->weights.shape[2] / 2;
    LastDimSlice gate{Value(), 0, inner, interleaved ? 2 : 1};
    LastDimSlice up{Value(), interleaved ? 1 : inner, inner,
                    interleaved ? 2 : 1};
    match.gate = cutOutputs(builder, *fc1, gate);
    std::optional<ExpertLinear> cut = cutOutputs(builder, *fc1, up);
    if (!match.gate || !cut)
      return missed("the fused weights cannot be cut");
    match.up = *cut;
    alpha = op.getActivationAlpha().convertToDouble();
    offset = op.getActivationBeta().convertToDouble();
    if (std::optional<APFloat> given = op.getSwigluLimit())
      limit = given->convertToDouble();
  } else if (isPresent(op.getFc3ExpertsWeights())) {
    std::optional<ExpertLinear> fc3 =
        getLinear(op.getFc3ExpertsWeights(), op.getFc3ExpertsBias());
    if (!fc3)
      return missed("the weights are no initialisers");
    match.gate = *fc1;
    match.up = *fc3;
  } else {
    match.up = *fc1;
  }
  match.activation = ActivationAttr::get(context, *kind, alpha, limit, offset);

  Location loc = op.getLoc();
  Value logits = asMatrix(builder, loc, op.getRouterProbs());
  RankedTensorType type = getTensorType(logits);
  int64_t experts = match.up.weights.shape[0], k = op.getK();
  auto routing = RoutingType::get(context, type.getDimSize(0), k, experts);
  OperationState state(loc, RouteOp::getOperationName());
  RouteOp::build(
      builder, state, routing, logits, /*select_bias=*/Value(),
      /*expert_scale=*/Value(), builder.getI64IntegerAttr(k),
      ScoreAttr::get(context, op.getUseSparseMixer() ? Score::SparseMixer
                                                     : Score::Softmax),
      RouteOrderAttr::get(context, RouteOrder::ScoreThenSelect),
      NormalizeAttr::get(context, op.getNormalizeRoutingWeights() &&
                                          !op.getUseSparseMixer()
                                      ? Normalize::Sum
                                      : Normalize::None),
      builder.getF64FloatAttr(0), builder.getF64FloatAttr(1), FloatAttr(),
      GroupsAttr(), CapacityAttr(), builder.getF64FloatAttr(0.01));
  auto route = cast<RouteOp>(builder.create(state));
  auto pair = UnpackOp::create(
      builder, loc,
      RankedTensorType::get({type.getDimSize(0), k}, builder.getI32Type()),
      RankedTensorType::get({type.getDimSize(0), k}, type.getElementType()),
      route);
  match.x = op.getInput();
  match.ids = pair.getIds();
  match.weights = pair.getWeights();
  if (failed(buildExperts(op.getOutput(), match)))
    return missed("the shape of the result cannot be restored");
  // The routing is used as it is, not taken apart and put together again.
  for (Operation *user : llvm::make_early_inc_range(pair.getIds().getUsers()))
    if (auto assign = dyn_cast<AssignOp>(user)) {
      assign.replaceAllUsesWith(route.getResult());
      assign.erase();
    }
  if (pair.use_empty())
    pair.erase();
  op.erase();
  return success();
}
