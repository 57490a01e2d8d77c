//===- VectorLanes.h - work within vectors ----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_VECTORLANES_H
#define PASSES_TARGET_CPU_VECTORLANES_H

#include "passes/target/cpu/KernelBuilder.h"

namespace mlir::moe {

/// Builds vectors of 16 f32 and what goes on between their lanes. Levels with
/// shorter registers split them.
class VectorLanes {
public:
  static constexpr int64_t kWidth = 16;

  explicit VectorLanes(KernelBuilder &b) : b(b) {}

  VectorType getType() const { return VectorType::get(kWidth, b.getF32Type()); }

  Value splat(Value number) {
    return vector::BroadcastOp::create(b, getType(), number);
  }

  /// Joins the lanes in halves: lane i with lane i + 8, then i + 4, ...
  Value reduce(Value lanes, function_ref<Value(Value, Value)> join);

  /// Carries a vector through the steps 0, 16, 32, ... below `end`.
  Value reduceLoop(Value end, Value init,
                   function_ref<Value(Value step, Value carried)> body);

  /// Rows of a square of 16 x 16 numbers become its columns.
  void transpose(MutableArrayRef<Value> rows);

private:
  KernelBuilder &b;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_VECTORLANES_H
