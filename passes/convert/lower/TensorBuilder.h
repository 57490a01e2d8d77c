//===- TensorBuilder.h - tensor expressions in linalg -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The vocabulary in which the lowerings of ONNX operators are written: numpy's
// operations on ranked tensors with dynamic extents, each a few linalg, tensor
// and arith operations.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_TENSORBUILDER_H
#define PASSES_CONVERT_LOWER_TENSORBUILDER_H

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"

namespace mlir::moe {

using Sizes = SmallVector<OpFoldResult>;

enum class Reduction { Sum, Product, Max, Min };

class TensorBuilder {
public:
  TensorBuilder(OpBuilder &builder, Location loc)
      : builder(builder), loc(loc) {}

  /// Computes one element from one element of each input.
  using Body = function_ref<Value(TensorBuilder &, ValueRange)>;
  /// Computes one element from its indices.
  using IndexBody = function_ref<Value(TensorBuilder &, ValueRange)>;

  //===--------------------------------------------------------------------===//
  // Scalars
  //===--------------------------------------------------------------------===//

  Value index(int64_t value);
  Value index(OpFoldResult value);
  /// A constant of an integer or floating-point type.
  Value constant(Type type, double value);
  /// The least (or, if `high`, the greatest) value of `type`; infinite for
  /// floating-point types.
  Value extreme(Type type, bool high);
  Value add(Value a, Value b);
  Value sub(Value a, Value b);
  Value mul(Value a, Value b);
  /// Integers truncate; a zero divisor gives zero.
  Value div(Value a, Value b, bool isUnsigned = false);
  /// NaN if either is NaN.
  Value max(Value a, Value b, bool isUnsigned = false);
  Value min(Value a, Value b, bool isUnsigned = false);
  Value compare(arith::CmpIPredicate integer, arith::CmpFPredicate real,
                Value a, Value b);
  Value select(Value condition, Value yes, Value no);
  /// Conversion of numbers as in ONNX's Cast.
  Value convert(Value value, Type type, bool fromUnsigned = false,
                bool toUnsigned = false);
  /// 1 / (1 + exp(-x)) without overflow.
  Value sigmoid(Value x);

  //===--------------------------------------------------------------------===//
  // Extents
  //===--------------------------------------------------------------------===//

  OpFoldResult size(Value tensor, int64_t dim);
  Sizes sizes(Value tensor);
  OpFoldResult addSizes(OpFoldResult a, OpFoldResult b);
  OpFoldResult subSizes(OpFoldResult a, OpFoldResult b);
  OpFoldResult mulSizes(OpFoldResult a, OpFoldResult b);
  OpFoldResult divSizes(OpFoldResult a, OpFoldResult b);
  OpFoldResult product(ArrayRef<OpFoldResult> sizes);
  /// Ends the run with `message` unless `condition` holds.
  void check(Value condition, const Twine &message);
  void checkEqual(OpFoldResult a, OpFoldResult b, const Twine &message);
  /// Ends the run unless `own` is 1 or `extent`.
  void checkBroadcast(OpFoldResult own, OpFoldResult extent);

  //===--------------------------------------------------------------------===//
  // Tensors
  //===--------------------------------------------------------------------===//

  Value empty(ArrayRef<OpFoldResult> sizes, Type element);
  Value fill(Value scalar, ArrayRef<OpFoldResult> sizes);
  Value scalar(Value element); ///< A tensor of rank 0.
  Value extract(Value tensor, ValueRange indices = {});

  /// Element by element with numpy's broadcasting. A dynamic extent is taken to
  /// equal the extents it meets, except in the dimensions (of the result)
  /// listed in `uncertain`, where it may also be 1.
  Value map(ValueRange inputs, Type element, Body body,
            ArrayRef<int64_t> uncertain = {});
  /// Every element from its indices.
  Value generate(ArrayRef<OpFoldResult> sizes, Type element, IndexBody body);

  Value cast(Value tensor, Type element);
  /// Same type up to static extents.
  Value retype(Value tensor, RankedTensorType type);
  Value reshape(Value tensor, ArrayRef<OpFoldResult> sizes);
  Value insertUnit(Value tensor, int64_t dim);
  Value dropUnit(Value tensor, int64_t dim);
  Value transpose(Value tensor, ArrayRef<int64_t> permutation);
  Value slice(Value tensor, int64_t dim, OpFoldResult offset,
              OpFoldResult extent, int64_t step = 1);
  Value concat(ValueRange tensors, int64_t dim);
  Value broadcast(Value tensor, ArrayRef<OpFoldResult> sizes,
                  ArrayRef<int64_t> uncertain = {});
  /// Reduces `dims`, which stay with extent 1 if `keep`. Floating-point sums
  /// are accumulated in f32 or wider.
  Value reduce(Value tensor, ArrayRef<int64_t> dims, Reduction kind, bool keep,
               bool isUnsigned = false);
  Value softmax(Value tensor, int64_t dim);
  /// The last two dimensions are matrices; leading ones broadcast. Accumulates
  /// in f32 or wider.
  Value matmul(Value a, Value b);

  OpBuilder &builder;
  Location loc;
};

/// The type that sums over `type` are accumulated in.
Type getAccumulator(Type type);

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_TENSORBUILDER_H
