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

/// A tile whose warps multiply by mma.sync: rows are its left operand, loaded
/// by ldmatrix, panels its right one.
class MmaTile final : public MatrixTile {
public:
  MmaTile(TileBuilder &b, const TileShape &shape, Value shared, Value thread,
          int64_t depth);

  void forEachResult(
      function_ref<void(Value row, Value column, ArrayRef<Value>)> store)
      override;

private:
  int64_t getGroups() const {
    return shape.columns / shape.warpColumns / 32 * shape.sources;
  }
  int64_t getFragments() const { return shape.rows / shape.warpRows / 16; }
  int64_t getSumCount() const override {
    return getFragments() * getGroups() * 16;
  }
  void multiplyStep(Value stage, SmallVectorImpl<Value> &sums) override;
  SmallVector<Value> loadRows(Value address);

  Value warpRow, warpColumn;
  /// Offsets within a stage of what the thread loads.
  Value leftOffsets[2], rightOffset;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_MMATILE_H
