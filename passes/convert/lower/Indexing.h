//===- Indexing.h - loops and indices of irregular operators --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What operators need that read or write at computed places: loops that carry
// tensors, which bufferization turns into writes in place, and indices that are
// checked once for a whole tensor before the loops that use them.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_INDEXING_H
#define PASSES_CONVERT_LOWER_INDEXING_H

#include "passes/convert/lower/Lowering.h"

namespace mlir::moe {

/// Computes the next values of the carried tensors and scalars.
using LoopBody = function_ref<SmallVector<Value>(
    TensorBuilder &, ValueRange indices, ValueRange carried)>;

/// Runs `body` for all indices below `sizes`, the last one fastest.
SmallVector<Value> buildLoops(TensorBuilder &tensors,
                              ArrayRef<OpFoldResult> sizes, ValueRange carried,
                              LoopBody body);

/// `yes` or `no`, each a computation of values of the same types.
SmallVector<Value>
buildIf(TensorBuilder &tensors, Value condition,
        function_ref<SmallVector<Value>(TensorBuilder &)> yes,
        function_ref<SmallVector<Value>(TensorBuilder &)> no);

/// Ends the run unless each of `indices` is in [-extent, extent). `original` is
/// the onnx value, whose constant, if it is one, is looked at right away.
LogicalResult checkIndices(Lowering &l, Value original, Value indices,
                           OpFoldResult extent);

/// `index` of any integer type, counted from the front.
Value wrapIndex(TensorBuilder &tensors, Value index, Value extent);

/// The integers of a constant.
std::optional<SmallVector<int64_t>> getKnownIntegers(Value original);

/// Conjunction of conditions.
Value andAll(TensorBuilder &tensors, ArrayRef<Value> conditions);

/// Comparison of two values of type index.
Value compareIndex(TensorBuilder &tensors, arith::CmpIPredicate predicate,
                   Value a, Value b);

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_INDEXING_H
