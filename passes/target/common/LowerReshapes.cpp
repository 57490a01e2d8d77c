//===- LowerReshapes.cpp - views of buffers in several unknown extents ----===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/Passes.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Arith/Utils/Utils.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERRESHAPES
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Whether one dimension of the source becomes two or more dynamic ones.
bool splitsIntoDynamic(memref::ExpandShapeOp op) {
  MemRefType type = op.getResultType();
  return llvm::any_of(op.getReassociationIndices(), [&](auto &group) {
    return llvm::count_if(
               group, [&](int64_t dim) { return type.isDynamicDim(dim); }) > 1;
  });
}

void lower(memref::ExpandShapeOp op) {
  OpBuilder builder(op);
  Location loc = op.getLoc();
  MemRefType type = op.getResultType();
  auto [strides, offset] = type.getStridesAndOffset();
  auto metadata =
      memref::ExtractStridedMetadataOp::create(builder, loc, op.getSrc());
  auto known = [&](int64_t value, OpFoldResult computed) -> OpFoldResult {
    if (ShapedType::isDynamic(value))
      return computed;
    return builder.getIndexAttr(value);
  };
  SmallVector<OpFoldResult> sizes = op.getMixedOutputShape();
  SmallVector<OpFoldResult> steps(sizes.size());
  for (auto [i, group] : llvm::enumerate(op.getReassociationIndices())) {
    Value step = metadata.getStrides()[i];
    for (int64_t dim : llvm::reverse(group)) {
      steps[dim] = known(strides[dim], step);
      Value extent = getValueOrCreateConstantIndexOp(builder, loc, sizes[dim]);
      step = arith::MulIOp::create(builder, loc, step, extent);
    }
  }
  Value view = memref::ReinterpretCastOp::create(
      builder, loc, type, op.getSrc(), known(offset, metadata.getOffset()),
      sizes, steps);
  op.replaceAllUsesWith(view);
  op.erase();
}

struct LowerReshapes : public moe::impl::LowerReshapesBase<LowerReshapes> {
  void runOnOperation() override {
    getOperation()->walk([](memref::ExpandShapeOp op) {
      if (splitsIntoDynamic(op))
        lower(op);
    });
  }
};

} // namespace
