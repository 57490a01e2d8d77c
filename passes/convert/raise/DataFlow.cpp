//===- DataFlow.cpp - what a value is computed from -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/DataFlow.h"

using namespace mlir;
using namespace mlir::moe;

RankedTensorType moe::getTensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

bool moe::isPresent(Value value) {
  return value && !isa<NoneType>(value.getType());
}

std::optional<double> moe::getNumber(Value value) {
  value = skipCasts(value);
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                           : DenseElementsAttr();
  if (!elements || elements.getNumElements() < 1 ||
      (elements.getNumElements() > 1 && !elements.isSplat()))
    return std::nullopt;
  if (isa<FloatType>(elements.getElementType()))
    return (*elements.value_begin<APFloat>()).convertToDouble();
  return (*elements.value_begin<APInt>()).getSExtValue();
}

std::optional<SmallVector<int64_t>> moe::getIntegers(Value value) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto elements = constant ? dyn_cast<DenseIntElementsAttr>(constant.getValue())
                           : DenseIntElementsAttr();
  if (!elements)
    return std::nullopt;
  SmallVector<int64_t> result;
  for (const APInt &element : elements.getValues<APInt>())
    result.push_back(element.getSExtValue());
  return result;
}

Value moe::skipReshapes(Value value) {
  while (Operation *op = value.getDefiningOp()) {
    if (!isa<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp,
             onnx::FlattenOp, onnx::IdentityOp>(op))
      break;
    value = op->getOperand(0);
  }
  return value;
}

Value moe::skipCasts(Value value) {
  while (true) {
    value = skipReshapes(value);
    Operation *op = value.getDefiningOp();
    if (!isa_and_nonnull<onnx::CastOp, onnx::CastLikeOp>(op))
      return value;
    value = op->getOperand(0);
  }
}

bool moe::isFilledWith(Value value, double number) {
  while (Operation *op = skipCasts(value).getDefiningOp()) {
    if (auto fill = dyn_cast<onnx::ConstantOfShapeOp>(op)) {
      auto elements = dyn_cast_or_null<DenseElementsAttr>(fill.getValueAttr());
      if (!elements)
        return number == 0;
      if (isa<FloatType>(elements.getElementType()))
        return (*elements.value_begin<APFloat>()).convertToDouble() == number;
      return (*elements.value_begin<APInt>()).getSExtValue() == number;
    }
    if (!isa<onnx::ExpandOp>(op))
      break;
    value = op->getOperand(0);
  }
  return getNumber(value) == number;
}
