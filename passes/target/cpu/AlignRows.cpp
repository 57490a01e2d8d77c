//===- AlignRows.cpp - rows that kernels read quickly -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/target/cpu/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_ALIGNROWS
#include "passes/target/cpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Numbers of f32 in a cache line.
constexpr int64_t kLine = 16;
/// Rows this many lines apart, or a multiple of it, meet in a few sets of the
/// caches and push each other out.
constexpr int64_t kCrowdedLines = 16;
/// Products with fewer columns take no longer than a copy of their rows.
constexpr int64_t kFewColumns = 128;

bool isCrowded(int64_t columns) {
  return !ShapedType::isDynamic(columns) && columns > 0 &&
         columns % (kCrowdedLines * kLine) == 0;
}

/// Uninitialised rows of `like`, in f32, with one cache line between them where
/// they would be crowded.
Value makeRows(ImplicitLocOpBuilder &b, Value like) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, b.getLoc(), like);
  int64_t columns = cast<RankedTensorType>(like.getType()).getShape().back();
  if (!isCrowded(columns))
    return tensor::EmptyOp::create(b, sizes, b.getF32Type());
  SmallVector<OpFoldResult> padded = sizes;
  padded.back() = b.getIndexAttr(columns + kLine);
  Value whole = tensor::EmptyOp::create(b, padded, b.getF32Type());
  SmallVector<OpFoldResult> zeros(sizes.size(), b.getIndexAttr(0)),
      ones(sizes.size(), b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(b, whole, zeros, sizes, ones);
}

/// A copy of `rows` as f32.
Value copyRows(ImplicitLocOpBuilder &b, Value rows) {
  Value init = makeRows(b, rows);
  int64_t rank = cast<RankedTensorType>(rows.getType()).getRank();
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto body = [&](OpBuilder &inner, Location loc, ValueRange arguments) {
    Value number = arguments[0];
    if (!number.getType().isF32())
      number = arith::ExtFOp::create(inner, loc, inner.getF32Type(), number);
    linalg::YieldOp::create(inner, loc, number);
  };
  return linalg::GenericOp::create(b, init.getType(), rows, init,
                                   ArrayRef({identity, identity}), iterators,
                                   body)
      .getResult(0);
}

/// Replaces the rows that `op` multiplies by a copy where that is faster.
void alignOperand(Operation *op, OpOperand &rows, int64_t columns) {
  auto type = cast<RankedTensorType>(rows.get().getType());
  int64_t count = type.getShape().drop_back().back();
  bool isNarrow = !type.getElementType().isF32();
  bool isWorthIt = type.getRank() == 2 && columns >= kFewColumns &&
                   (ShapedType::isDynamic(count) || count >= kCrowdedLines);
  if (!isNarrow && !(isCrowded(type.getShape().back()) && isWorthIt))
    return;
  ImplicitLocOpBuilder b(op->getLoc(), op);
  rows.set(copyRows(b, rows.get()));
}

int64_t getColumns(Value result) {
  int64_t columns = cast<RankedTensorType>(result.getType()).getShape().back();
  return ShapedType::isDynamic(columns) ? kFewColumns : columns;
}

struct AlignRows : public moe::impl::AlignRowsBase<AlignRows> {
  void runOnOperation() override {
    getOperation()->walk([](Operation *op) {
      if (auto gemm = dyn_cast<kern::PanelGemmOp>(op)) {
        alignOperand(op, gemm.getAMutable(), getColumns(gemm.getInit()));
      } else if (auto hidden = dyn_cast<kern::ExpertsHiddenOp>(op)) {
        alignOperand(op, hidden.getXMutable(), getColumns(hidden.getInit()));
        if (hidden.getInit().getDefiningOp<tensor::EmptyOp>()) {
          ImplicitLocOpBuilder b(op->getLoc(), op);
          hidden.getInitMutable().assign(makeRows(b, hidden.getInit()));
        }
      }
    });
  }
};

} // namespace
