//===- RoundedWeights.h - the error of weights in fewer bits ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_ROUNDEDWEIGHTS_H
#define COMPILER_TOOLS_MOEC_ROUNDEDWEIGHTS_H

#include "compiler/tools/moec/Tensor.h"
#include "passes/plan/Passes.h"

#include "llvm/ADT/StringRef.h"

/// The norm of `got - want` relative to that of `want`, where a norm is the
/// root of the sum of squares. Infinite if one side is not a number where the
/// other is; both have the same shape.
double getRelativeError(const moe_tensor_t &got, const moe_tensor_t &want);

/// How many packed weights of an artifact have another type or layout than in
/// `kept`; both are manifests of artifacts of one model.
unsigned countRoundedWeights(const char *manifest, const char *kept);

/// The relative error that may be expected of an output after `count` weights
/// have been rounded, or the rows that they multiply.
///
/// Rounding changes each product by e of its norm, where e is for weights of
/// - bf16: 2^-9, half a unit in the last place;
/// - int8: 4 / 127 / sqrt(12), for steps of 1/127 of the greatest of 128
///   numbers, which is hardly above 4 standard deviations, and an even
///   distribution of the error within a step;
/// - int4: 3 / 8 / sqrt(12), for the greatest of 32 numbers;
/// and for rows of int8 as for weights of int8.
///
/// The errors are independent, so they add up to sqrt(count) * e, e being the
/// root of the sum of the squares of both.
double getExpectedError(const mlir::moe::PrecisionFlags &precision,
                        unsigned count);

#endif // COMPILER_TOOLS_MOEC_ROUNDEDWEIGHTS_H
