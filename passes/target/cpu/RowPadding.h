//===- RowPadding.h - rows that do not crowd the caches ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_ROWPADDING_H
#define PASSES_TARGET_CPU_ROWPADDING_H

#include "mlir/IR/BuiltinTypes.h"

namespace mlir::moe {

/// Rows this many bytes apart, or a multiple of it, meet in a few sets of the
/// caches and push each other out.
constexpr int64_t kCrowdedBytes = 1024;

/// Bytes of a cache line.
constexpr int64_t kLineBytes = 64;

/// The distance of rows of `columns` numbers: one cache line more where they
/// would be crowded.
inline int64_t padRow(int64_t columns, Type element) {
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  bool isCrowded = !ShapedType::isDynamic(columns) && columns > 0 &&
                   columns * bytes % kCrowdedBytes == 0;
  return isCrowded ? columns + kLineBytes / bytes : columns;
}

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_ROWPADDING_H
