//===- Compare.h - compares a result with what was expected ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_COMPARE_H
#define COMPILER_TOOLS_MOEC_COMPARE_H

#include "compiler/tools/moec/Tensor.h"

/// Numbers agree if |got - want| <= atol + rtol * |want|; NaN agrees with NaN.
/// Integers and booleans must be equal.
struct Tolerance {
  double rtol = 1e-3;
  double atol = 1e-5;
};

struct Comparison {
  bool agrees = true;
  /// The largest |got - want|, infinite where one side is not a number.
  double worstError = 0;
  /// How many elements disagree.
  int64_t wrongElements = 0;
  /// Why they do not agree, or empty.
  std::string reason;
};

Comparison compareTensors(const moe_tensor_t &got, const moe_tensor_t &want,
                          const Tolerance &tolerance);

#endif // COMPILER_TOOLS_MOEC_COMPARE_H
