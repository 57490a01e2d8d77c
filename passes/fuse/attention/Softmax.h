//===- Softmax.h - the softmax in an expression -----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_FUSE_ATTENTION_SOFTMAX_H
#define PASSES_FUSE_ATTENTION_SOFTMAX_H

#include "passes/fuse/attention/Expression.h"

namespace mlir::moe {

/// A softmax over the keys.
struct Softmax {
  const Expression *score;
  /// The score of a further key without a value, or null.
  const Expression *sink = nullptr;
  /// Whether a row without any key is zero, not NaN.
  bool maskedIsZero = false;
  /// Whether the sink was one of the elements of the softmax.
  bool isJoined = false;
};

/// Recognises `exp(x - max x) / sum exp(x - max x)`, in any precision, with and
/// without guards against rows without keys.
std::optional<Softmax> matchSoftmax(const Expression *weights);

} // namespace mlir::moe

#endif // PASSES_FUSE_ATTENTION_SOFTMAX_H
