//===- KeyBounds.h - which keys a query can see -----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_KEYBOUNDS_H
#define PASSES_TARGET_CPU_KEYBOUNDS_H

#include "dialects/kern/KernDialect.h"
#include "passes/target/cpu/KernelBuilder.h"

namespace mlir::moe {

/// Conditions on the key without which the score of an attention is negative
/// infinity, read off its region: those of causal masks, sliding windows and
/// lengths of sequences.
class KeyBounds {
public:
  explicit KeyBounds(kern::AttentionOp op);

  bool empty() const { return lower.empty() && upper.empty(); }

  /// The first key that the row may see and the end of those that it may see,
  /// within [0, count]. `indices` are the values of the indices of the region;
  /// that of the key is not used.
  std::pair<Value, Value> emit(KernelBuilder &b, ValueRange indices,
                               Value count) const;

private:
  /// `value`, an integer in the region, plus `distance`.
  struct Bound {
    Value value;
    int64_t distance;
  };

  void collect(Value score);
  void collectCondition(Value condition, bool holds);
  bool isKey(Value value) const;
  bool dependsOnKey(Value value) const;

  Block &body;
  Value key;
  SmallVector<Bound> lower, upper;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_KEYBOUNDS_H
