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
/// Whether an optional operand is there.
bool isPresent(Value value);

/// The only number of a constant of one element.
std::optional<double> getNumber(Value value);
/// The elements of a constant integer tensor.
std::optional<SmallVector<int64_t>> getIntegers(Value value);

/// `value` before any reshapes, unit dimensions and identities.
Value skipReshapes(Value value);
/// The same, and before conversions of the element type.
Value skipCasts(Value value);

/// An operation of the given kind, seen through reshapes.
template <typename Op> Op getProducer(Value value) {
  return skipReshapes(value).getDefiningOp<Op>();
}

/// The leaves of a tree of multiplications, seen through reshapes.
SmallVector<Value> getFactors(Value value);

/// A part of the last dimension: entries start, start + step, ...
struct LastDimSlice {
  Value source;
  int64_t start = 0, count = 0, step = 1;
};
/// What part of which value `value` is; the whole of itself if nothing is cut.
LastDimSlice getLastDimSlice(Value value);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_DATAFLOW_H
