//===- DataFlow.h - what a value is computed from ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The raising passes look at data flow, not at sequences of operators. These
// helpers see through what exporters add without changing numbers: reshapes,
// units dimensions, identities, the order of factors.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_DATAFLOW_H
#define PASSES_CONVERT_RAISE_DATAFLOW_H

#include "dialects/onnx/ONNXDialect.h"

#include <optional>

namespace mlir::moe {

/// The tensor type of an onnx value.
RankedTensorType getTensorType(Value value);
/// `axis` of a tensor of `rank` dimensions, from the front.
inline int64_t getAxisFromFront(int64_t axis, int64_t rank) {
  return axis < 0 ? axis + rank : axis;
}
/// Whether an optional operand is there.
bool isPresent(Value value);

/// The only number of a constant of one element.
std::optional<double> getNumber(Value value);
/// The elements of a constant integer tensor.
std::optional<SmallVector<int64_t>> getIntegers(Value value);

/// Whether every element of `value` is `number`, whatever its shape.
bool isFilledWith(Value value, double number);

/// `value` before any reshapes, unit dimensions and identities.
Value skipReshapes(Value value);
/// The same, and before conversions of the element type.
Value skipCasts(Value value);

/// An operation of the given kind, seen through reshapes.
template <typename Op> Op getProducer(Value value) {
  return skipReshapes(value).getDefiningOp<Op>();
}

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_DATAFLOW_H
