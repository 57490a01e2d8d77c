//===- OneHot.cpp - ids in a one-hot encoding -------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/LinearMatch.h"
#include "passes/convert/raise/RowSpaces.h"

using namespace mlir;
using namespace mlir::moe;

/// Whether a constant of two elements is 0, 1.
static bool isZeroOne(Value value) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                           : DenseElementsAttr();
  if (!elements || elements.getNumElements() != 2)
    return false;
  if (isa<FloatType>(elements.getElementType())) {
    auto values = elements.getValues<APFloat>();
    return values[0].isZero() && values[1].isExactlyValue(1.0);
  }
  auto values = elements.getValues<APInt>();
  return values[0].isZero() && values[1].isOne();
}

/// Whether `axis` counts with the whole of `label`.
static bool isWhole(const Axis &axis, int label) {
  return axis.size() == 1 && axis[0].label == label && axis[0].offset == 0 &&
         axis[0].step == 1;
}

/// What an encoding says about the entry of `axis`.
static std::optional<OneHotMatch> readAxis(const Axis &axis, int label) {
  if (label != Digit::kNone && isWhole(axis, label))
    return OneHotMatch();
  if (axis.empty())
    return OneHotMatch{{}, 0};
  if (axis.size() == 1 && axis[0].isConstant())
    return OneHotMatch{{}, axis[0].offset};
  return std::nullopt;
}

std::optional<OneHotMatch>
moe::matchOneHot(Tracer &tracer, const IndexedValue &indexed, int label) {
  IndexedValue traced = tracer.trace(indexed);
  Operation *op = traced.value.getDefiningOp();
  // Only zero becomes false.
  if (isa_and_nonnull<onnx::CastOp>(op)) {
    traced.value = op->getOperand(0);
    return matchOneHot(tracer, traced, label);
  }
  std::optional<OneHotMatch> result;
  if (auto hot = dyn_cast_or_null<onnx::OneHotOp>(op)) {
    if (!isZeroOne(hot.getValues()))
      return std::nullopt;
    int64_t rank = traced.axes.size();
    int64_t dim = getAxisFromFront(hot.getAxis(), rank);
    result = readAxis(traced.axes[dim], label);
    if (!result)
      return std::nullopt;
    result->ids = {hot.getIndices(), traced.axes};
    result->ids.axes.erase(result->ids.axes.begin() + dim);
  } else if (auto equal = dyn_cast_or_null<onnx::EqualOp>(op)) {
    for (unsigned i = 0; i < 2 && !result; ++i) {
      Value other = equal->getOperand(i);
      std::optional<IndexedValue> numbers = tracer.getOperand(other, traced);
      std::optional<IndexedValue> ids =
          tracer.getOperand(equal->getOperand(1 - i), traced);
      if (!numbers || !ids ||
          !isa<IntegerType>(getElementTypeOrSelf(ids->value.getType())))
        continue;
      IndexedValue counting = tracer.trace(*numbers);
      if (counting.axes.size() == 1 && isCounting(counting.value))
        result = readAxis(counting.axes[0], label);
      else if (std::optional<double> number = getNumber(other))
        result = OneHotMatch{{}, static_cast<int64_t>(*number)};
      if (result)
        result->ids = *ids;
    }
  } else if (auto scatter = dyn_cast_or_null<onnx::ScatterElementsOp>(op)) {
    int64_t rank = traced.axes.size();
    int64_t dim = getAxisFromFront(scatter.getAxis(), rank);
    if (!isFilledWith(scatter.getData(), 0) ||
        !isFilledWith(scatter.getUpdates(), 1) ||
        getTensorType(scatter.getIndices()).getDimSize(dim) != 1)
      return std::nullopt;
    result = readAxis(traced.axes[dim], label);
    if (!result)
      return std::nullopt;
    result->ids = {scatter.getIndices(), traced.axes};
    result->ids.axes[dim].clear();
  }
  if (!result || result->ids.dependsOn(label))
    return std::nullopt;
  result->ids = traceIds(tracer, result->ids);
  return result;
}
