//===- RuntimeAxes.h - axes that are known at run time only -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_RUNTIMEAXES_H
#define PASSES_CONVERT_LOWER_RUNTIMEAXES_H

#include "passes/convert/lower/Lowering.h"

namespace mlir::moe {

/// The axis in `original`, an integer tensor of one element, counted from the
/// front. A constant if it is known; else the run ends unless it is in range.
FailureOr<OpFoldResult> readAxis(Lowering &l, Value original, int64_t rank);

/// All axes in `original`, an integer vector of known length.
FailureOr<Sizes> readAxes(Lowering &l, Value original, int64_t rank);

/// Whether all of `axes` are constants.
bool areKnown(ArrayRef<OpFoldResult> axes);

/// `yes` if `predicate` holds for `dim` and `axis`, else `no`.
OpFoldResult selectIf(TensorBuilder &t, int64_t dim, OpFoldResult axis,
                      arith::CmpIPredicate predicate, OpFoldResult yes,
                      OpFoldResult no);

/// `sizes[axis]`.
OpFoldResult selectAt(TensorBuilder &t, ArrayRef<OpFoldResult> sizes,
                      OpFoldResult axis);

/// The `rank` sizes that are left without those at `axes`.
Sizes dropAxes(TensorBuilder &t, ArrayRef<OpFoldResult> sizes,
               ArrayRef<OpFoldResult> axes, int64_t rank);

/// `rank` sizes: 1 at `axes`, else those of `sizes` in order.
Sizes insertAxes(TensorBuilder &t, ArrayRef<OpFoldResult> sizes,
                 ArrayRef<OpFoldResult> axes, int64_t rank);

/// The extents before `axis`, at it and behind it, as three.
Sizes splitAt(TensorBuilder &t, ArrayRef<OpFoldResult> sizes,
              OpFoldResult axis);

/// Sets `sizes[axis]` to `size`.
void replaceAt(TensorBuilder &t, Sizes &sizes, OpFoldResult axis,
               OpFoldResult size);

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_RUNTIMEAXES_H
