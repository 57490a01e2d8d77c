//===- Quantization.h - integers that stand for numbers -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_QUANTIZATION_H
#define PASSES_CONVERT_LOWER_QUANTIZATION_H

#include "passes/convert/lower/Lowering.h"

namespace mlir::moe {

/// A scale or zero point in a shape that broadcasts to that of `tensor`: one
/// for all elements, or a vector along `axis`, or of the same rank already.
Value alignParameter(TensorBuilder &t, Value parameter, Value tensor,
                     int64_t axis);

/// `x`, a floating-point number, rounded to the nearest integer, plus
/// `zeroPoint`, a number without fraction that may be null, within the range of
/// `integer`.
Value quantize(TensorBuilder &t, Value x, Value zeroPoint, Type integer);

void addLinearQuantizationLowerings(LoweringTable &table);

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_QUANTIZATION_H
