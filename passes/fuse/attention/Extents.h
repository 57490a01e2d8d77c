//===- Extents.h - extents of tensors as products ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_FUSE_ATTENTION_EXTENTS_H
#define PASSES_FUSE_ATTENTION_EXTENTS_H

#include "mlir/IR/Value.h"

namespace mlir::moe {

/// An extent as a number times symbols. A symbol is an extent of a tensor that
/// nothing is known about, or an index.
struct Extent {
  using Symbol = std::pair<const void *, int64_t>;

  int64_t factor = 1;
  SmallVector<Symbol> symbols; ///< Sorted.

  bool isOne() const { return factor == 1 && symbols.empty(); }
  bool isStatic() const { return symbols.empty(); }
  bool operator==(const Extent &other) const {
    return factor == other.factor && symbols == other.symbols;
  }

  Extent operator*(const Extent &other) const;
  /// The quotient if `other` divides this without remainder.
  std::optional<Extent> divide(const Extent &other) const;

  static Extent get(Value tensor, int64_t dim);
  static Extent get(OpFoldResult size);
};

} // namespace mlir::moe

#endif // PASSES_FUSE_ATTENTION_EXTENTS_H
