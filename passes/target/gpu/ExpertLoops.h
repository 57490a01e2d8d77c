//===- ExpertLoops.h - loops over the positions of experts ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_GPU_EXPERTLOOPS_H
#define PASSES_TARGET_GPU_EXPERTLOOPS_H

#include "dialects/kern/KernDialect.h"
#include "passes/target/cpu/KernelBuilder.h"

namespace mlir::moe {

/// KernelBuilder with loops that carry values, and f32.
class ExpertBuilder : public KernelBuilder {
public:
  using KernelBuilder::KernelBuilder;

  Value number(double value) {
    return arith::ConstantOp::create(*this, getF32FloatAttr(value));
  }
  Value size(Value buffer, int64_t dim) {
    return createOrFold<memref::DimOp>(buffer, dim);
  }
  SmallVector<Value> sizes(Value buffer);
  /// An element as f32.
  Value loadWide(Value buffer, ValueRange indices);
  /// Stores f32 as the element type of the buffer.
  void storeNarrow(Value number, Value buffer, ValueRange indices);

  using Body = function_ref<SmallVector<Value>(Value, ValueRange)>;
  /// A sequential loop from 0 to `count` that carries `state`.
  SmallVector<Value> carry(Value count, ValueRange state, Body body);
};

/// The expert that owns `position`: the number of experts that end before.
Value emitExpertOf(ExpertBuilder &b, Value offsets, Value position);

/// `op.init[t, n]` = the sum of `term(position, n)` over the positions of token
/// t in rising order, which is the order of experts. One iteration of a
/// parallel loop owns an entry of the result.
void emitSumOverPositions(ExpertBuilder &b, kern::ExpertsCombineOp op,
                          function_ref<Value(Value, Value)> term);

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_EXPERTLOOPS_H
