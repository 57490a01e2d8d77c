//===- MmaTile.h - tiles of products by mma.sync -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_GPU_MMATILE_H
#define PASSES_TARGET_GPU_MMATILE_H

#include "passes/target/gpu/MatrixTile.h"

namespace mlir::moe {

/// A tile whose warps multiply by mma.sync a panel with eight rows each, which
/// ldmatrix loads.
class MmaTile final : public MatrixTile {
public:
  MmaTile(TileBuilder &b, const TileShape &shape, Value shared, Value thread,
          int64_t depth);

private:
  void multiplyStep(Value stage, SmallVectorImpl<Value> &sums) override;
  SmallVector<Value> loadRows(Value address);

  /// Offsets within a stage of the rows that the thread names, for each half of
  /// a step.
  Value rowOffsets[2];
};

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_MMATILE_H
