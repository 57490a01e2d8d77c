//===- WgmmaTile.h - tiles of products by wgmma --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_GPU_WGMMATILE_H
#define PASSES_TARGET_GPU_WGMMATILE_H

#include "passes/target/gpu/MatrixTile.h"

namespace mlir::moe {

/// A tile whose warp groups multiply by wgmma, which wants 64 rows of its left
/// operand and 8 to 256 columns of its right one. Panels are the left operand
/// and rows the right one, so that few rows of an expert waste nothing: panels
/// come from registers, where any packing will do, and rows from shared memory,
/// where they lie as the instruction wants them.
///
/// A warp has two panels, one source after the other, and multiplies each of
/// them as 16 rows of the left operand: column 2 g + h of the panel is row
/// g + 8 h, so that a thread has two consecutive columns, and both gate and up
/// projection of them. Source: PTX ISA, "Asynchronous warpgroup level matrix
/// instructions".
class WgmmaTile final : public MatrixTile {
public:
  WgmmaTile(TileBuilder &b, const TileShape &shape, Value shared, Value thread,
            int64_t depth);

  void forEachResult(
      function_ref<void(Value row, Value column, ArrayRef<Value>)> store)
      override;

private:
  /// Panels of a warp, and sums of a thread for each.
  static constexpr int64_t kPanels = 2;
  int64_t getPanelSums() const { return shape.rows / 2; }
  int64_t getSumCount() const override { return kPanels * getPanelSums(); }

  void multiplyStep(Value stage, SmallVectorImpl<Value> &sums) override;
  void publishCopies() override;
  SmallVector<Value> loadPanel(Value stage, int64_t panel, int64_t half);
  Value getDescriptor(Value stage, int64_t half);

  /// The offset within a stage of what the thread loads.
  Value panelOffset;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_WGMMATILE_H
