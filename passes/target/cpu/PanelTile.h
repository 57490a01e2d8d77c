//===- PanelTile.h - register tiles over packed panels ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_PANELTILE_H
#define PASSES_TARGET_CPU_PANELTILE_H

#include "passes/target/cpu/InnerProduct.h"

namespace mlir::moe {

/// What a panel product reads and writes; all buffers are one-dimensional.
struct PanelProduct {
  Value rows;
  /// The place in `rows` where each row starts, a buffer of `index`.
  Value starts;
  Value count;
  Value panels;
  /// Where the first panel starts.
  Value panelOffset;
  Value panelCount;
  /// The inner extent.
  Value depth;
  /// The sum of row i and column j of the panels is at `i * getSumStride() +
  /// j`.
  Value sums;

  /// Where the rows from `first` on start.
  SmallVector<Value> loadStarts(KernelBuilder &b, Value first,
                                int64_t rows) const;

  /// Makes all sums zero.
  void clearSums(KernelBuilder &b, const TileTarget &target) const;

  /// Calls `body` with the first panel and the number of panels of each tile:
  /// all panels of a block at once where there are so many and, if it is not
  /// null, `mayBeWide` holds, and one panel after the other else.
  void forEachTile(KernelBuilder &b, const TileTarget &target,
                   function_ref<void(Value firstPanel, int64_t width)> body,
                   Value mayBeWide = {}) const;
};

/// Emits the loops over panels, chunks and rows around register tiles. A sum is
/// taken in rising order of the inner extent whatever the number of rows is.
void emitPanelProduct(KernelBuilder &b, const TileTarget &target,
                      const InnerProduct &family, const PanelProduct &product);

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_PANELTILE_H
