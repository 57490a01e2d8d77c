//===- LoopBuilder.h - loops over tensors -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The vocabulary of the reference lowering: sequential loops whose state is
// carried as values, and single elements of tensors. One-Shot Bufferize turns
// the state into buffers that are updated in place.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_COMMON_LOOPBUILDER_H
#define PASSES_TARGET_COMMON_LOOPBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {

class LoopBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;
  using State = SmallVector<Value>;

  Value index(int64_t value);
  Value i32(int64_t value);
  Value f32(double value);
  Value toIndex(Value integer);
  Value toI32(Value index);

  /// `for i in [begin, end)`, carrying `state`; returns the final state.
  State loop(Value begin, Value end, ValueRange state,
             function_ref<State(Value, ValueRange)> body);
  /// With one carried value.
  Value loop(Value begin, Value end, Value state,
             function_ref<Value(Value, Value)> body);
  Value branch(Value condition, function_ref<Value()> yes,
               function_ref<Value()> no);

  Value size(Value tensor, int64_t dim);
  Value empty(ArrayRef<Value> sizes, Type element);
  /// A tensor of `count` copies of `element`.
  Value filled(ArrayRef<Value> sizes, Value element);

  /// One element; floating-point numbers are widened to f32.
  Value load(Value tensor, ValueRange indices);
  /// The tensor with one element replaced; f32 is rounded to its type.
  Value store(Value element, Value tensor, ValueRange indices);

  Value isNaN(Value number);
  Value isGreater(Value a, Value b);
  Value both(Value a, Value b);
  Value either(Value a, Value b);
  Value negate(Value condition);
  Value select(Value condition, Value yes, Value no);
};

} // namespace mlir::moe

#endif // PASSES_TARGET_COMMON_LOOPBUILDER_H
