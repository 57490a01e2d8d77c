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

/// A tile whose warp groups multiply by wgmma, each 64 rows of the left operand
/// with all rows of the tile: 8 to 256, in eights. Panels come from registers,
/// rows from shared memory. Source: PTX ISA, "Asynchronous warpgroup level
/// matrix instructions".
class WgmmaTile final : public MatrixTile {
public:
  WgmmaTile(TileBuilder &b, const TileShape &shape, Value shared, Value thread,
            int64_t depth)
      : MatrixTile(b, shape, shared, thread, depth) {}

private:
  void multiplyStep(Value stage, SmallVectorImpl<Value> &sums) override;
  void publishCopies() override;
  Value getDescriptor(Value stage, int64_t half);
};

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_WGMMATILE_H
