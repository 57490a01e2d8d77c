//===- TileTarget.h - what register tiles can rely on -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_TILETARGET_H
#define PASSES_TARGET_CPU_TILETARGET_H

#include "mlir/Support/LLVM.h"

namespace mlir::moe {

/// Columns of a panel.
constexpr int64_t kPanelColumns = 16;

/// Rows of a tile on one panel.
constexpr int64_t kTileRows = 6;

/// What a tile can rely on.
struct TileTarget {
  /// Lanes of a vector of f32.
  int64_t lanes;
  /// Panels that a kernel works on in one call.
  int64_t blockPanels;
  /// Rows of a tile on all panels of a block, and up to which number of rows it
  /// is used. Where registers allow 6 rows (24 sums, 4 vectors of columns and a
  /// factor), that is always so. Else many rows take tiles on one panel, which
  /// need fewer loads for each sum, while few rows, which wait for panels from
  /// memory, take the many independent sums of two groups of wide tiles: one
  /// group streams the panels, the other fetches ahead.
  int64_t wideRows;
  int64_t mostWideRows;
  /// Rows of a kernel call at most: few enough to stay in the caches while all
  /// the panels go by.
  int64_t taskRows;
  /// Steps along the inner extent after which the next rows have their turn:
  /// until then the numbers of the panels stay in the second-level cache.
  int64_t chunkSteps;
  /// Whether there are products of pairs of bf16 that add up in f32.
  bool hasBF16Pairs = false;
  /// Whether there are products of four pairs of bytes that add up in i32.
  bool hasByteQuads = false;
  /// Whether there are matrix registers.
  bool hasMatrices = false;

  /// For an instruction set level such as "x86-64-v4".
  static FailureOr<TileTarget> get(StringRef isa);

  /// Columns of the result of a kernel call with `sources` matrices side by
  /// side.
  int64_t getBlockColumns(int64_t sources) const {
    return blockPanels / sources * kPanelColumns;
  }
  /// Distance of the rows in a buffer of sums.
  int64_t getSumStride() const { return blockPanels * kPanelColumns; }
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_TILETARGET_H
