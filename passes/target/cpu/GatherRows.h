//===- GatherRows.h - the rows of experts one behind the other --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_GATHERROWS_H
#define PASSES_TARGET_CPU_GATHERROWS_H

#include "passes/target/cpu/FlatBuffer.h"

namespace mlir::moe {

/// Copies of rows, for kernels that take rows which are equally far apart: row
/// p is the one of token `assignments[p] / slots`, for each of the first
/// `count` assignments.
FlatBuffer emitGatherRows(KernelBuilder &b, BufferScope &scope,
                          const FlatBuffer &rows, const FlatBuffer &assignments,
                          Value count, int64_t slots);

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_GATHERROWS_H
