//===- AlignRows.cpp - rows that kernels read quickly -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/target/cpu/Passes.h"
#include "passes/target/cpu/RowPadding.h"

namespace mlir::moe {
#define GEN_PASS_DEF_ALIGNROWS
#include "passes/target/cpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Products with fewer columns take no longer than a copy of their rows, and
/// so do those of fewer rows.
constexpr int64_t kFewColumns = 128;
constexpr int64_t kFewRows = 16;

bool isCrowded(RankedTensorType rows) {
  int64_t columns = rows.getShape().back();
  return padRow(columns, rows.getElementType()) != columns;
}

/// Uninitialised rows of `like`, with one cache line between them where they
/// would be crowded.
Value makeRows(ImplicitLocOpBuilder &b, Value like, Type element) {
  SmallVector<OpFoldResult> sizes = tensor::getMixedSizes(b, b.getLoc(), like);
  int64_t columns = cast<RankedTensorType>(like.getType()).getShape().back();
  int64_t padding = padRow(columns, element);
  if (padding == columns)
    return tensor::EmptyOp::create(b, sizes, element);
  SmallVector<OpFoldResult> padded = sizes;
  padded.back() = b.getIndexAttr(padding);
  Value whole = tensor::EmptyOp::create(b, padded, element);
  SmallVector<OpFoldResult> zeros(sizes.size(), b.getIndexAttr(0)),
      ones(sizes.size(), b.getIndexAttr(1));
  return tensor::ExtractSliceOp::create(b, whole, zeros, sizes, ones);
}

/// A copy of `rows` as numbers of type `element`.
Value copyRows(ImplicitLocOpBuilder &b, Value rows, Type element) {
  Value init = makeRows(b, rows, element);
  int64_t rank = cast<RankedTensorType>(rows.getType()).getRank();
  AffineMap identity = b.getMultiDimIdentityMap(rank);
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  auto body = [&](OpBuilder &inner, Location loc, ValueRange arguments) {
    Value number = arguments[0];
    if (number.getType() != element)
      number = arith::ExtFOp::create(inner, loc, element, number);
    linalg::YieldOp::create(inner, loc, number);
  };
  return linalg::GenericOp::create(b, init.getType(), rows, init,
                                   ArrayRef({identity, identity}), iterators,
                                   body)
      .getResult(0);
}

/// Whether there are instructions that take rows and panels as they are.
bool isPairOfBF16(Value rows, Value panels) {
  return getElementTypeOrSelf(rows).isBF16() &&
         getElementTypeOrSelf(panels).isBF16();
}

/// Replaces the rows that `op` multiplies by a copy where that is faster.
void alignOperand(Operation *op, OpOperand &rows, Value panels,
                  int64_t columns) {
  auto type = cast<RankedTensorType>(rows.get().getType());
  int64_t count = type.getShape().drop_back().back();
  bool isAsItShouldBe =
      type.getElementType().isF32() || isPairOfBF16(rows.get(), panels);
  bool isWorthIt = type.getRank() == 2 && columns >= kFewColumns &&
                   (ShapedType::isDynamic(count) || count >= kFewRows);
  if (isAsItShouldBe && !(isCrowded(type) && isWorthIt))
    return;
  ImplicitLocOpBuilder b(op->getLoc(), op);
  rows.set(copyRows(b, rows.get(),
                    isAsItShouldBe ? type.getElementType() : b.getF32Type()));
}

int64_t getColumns(Value result) {
  int64_t columns = cast<RankedTensorType>(result.getType()).getShape().back();
  return ShapedType::isDynamic(columns) ? kFewColumns : columns;
}

struct AlignRows : public moe::impl::AlignRowsBase<AlignRows> {
  void runOnOperation() override {
    getOperation()->walk([](Operation *op) {
      if (auto gemm = dyn_cast<kern::PanelGemmOp>(op)) {
        alignOperand(op, gemm.getAMutable(), gemm.getB(),
                     getColumns(gemm.getInit()));
      } else if (auto hidden = dyn_cast<kern::ExpertsHiddenOp>(op)) {
        alignOperand(op, hidden.getXMutable(), hidden.getPanels(),
                     getColumns(hidden.getInit()));
        if (hidden.getInit().getDefiningOp<tensor::EmptyOp>()) {
          ImplicitLocOpBuilder b(op->getLoc(), op);
          hidden.getInitMutable().assign(makeRows(
              b, hidden.getInit(), getElementTypeOrSelf(hidden.getInit())));
        }
      }
    });
  }
};

} // namespace
