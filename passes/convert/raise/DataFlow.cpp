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

SmallVector<Value> moe::getFactors(Value value) {
  SmallVector<Value> factors, work = {value};
  while (!work.empty()) {
    Value next = skipReshapes(work.pop_back_val());
    if (auto mul = next.getDefiningOp<onnx::MulOp>()) {
      work.push_back(mul.getB());
      work.push_back(mul.getA());
    } else {
      factors.push_back(next);
    }
  }
  return factors;
}

LastDimSlice moe::getLastDimSlice(Value value) {
  value = skipReshapes(value);
  RankedTensorType type = getTensorType(value);
  int64_t last = type.getRank() - 1;
  LastDimSlice whole{value, 0, last < 0 ? 1 : type.getDimSize(last), 1};
  if (auto split = value.getDefiningOp<onnx::SplitOp>()) {
    int64_t axis = split.getAxis();
    if (axis < 0)
      axis += last + 1;
    if (axis != last)
      return whole;
    LastDimSlice slice{split.getInput(), 0, whole.count, 1};
    for (Value part : split.getOutputs()) {
      if (part == value)
        return slice;
      slice.start += getTensorType(part).getDimSize(last);
    }
  }
  if (auto op = value.getDefiningOp<onnx::SliceOp>()) {
    auto starts = getIntegers(op.getStarts());
    std::optional<SmallVector<int64_t>> axes, steps;
    if (isPresent(op.getAxes()))
      axes = getIntegers(op.getAxes());
    if (isPresent(op.getSteps()))
      steps = getIntegers(op.getSteps());
    if (!starts || starts->size() != 1 || !axes ||
        (isPresent(op.getSteps()) && !steps))
      return whole;
    int64_t axis = axes->front() < 0 ? axes->front() + last + 1 : axes->front();
    int64_t step = steps ? steps->front() : 1;
    int64_t extent = getTensorType(op.getData()).getDimSize(last);
    if (axis != last || step < 1 || ShapedType::isDynamic(extent))
      return whole;
    int64_t start =
        starts->front() < 0 ? starts->front() + extent : starts->front();
    // The type may not know the extent where the bounds were computed.
    int64_t count = whole.count;
    if (ShapedType::isDynamic(count)) {
      auto ends = getIntegers(op.getEnds());
      if (!ends || ends->size() != 1)
        return whole;
      int64_t end = ends->front() < 0 ? ends->front() + extent : ends->front();
      int64_t length = std::min(end, extent) - start;
      if (length < 1)
        return whole;
      count = llvm::divideCeil(length, step);
    }
    return {op.getData(), start, count, step};
  }
  return whole;
}
