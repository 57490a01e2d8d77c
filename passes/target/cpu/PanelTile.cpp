//===- PanelTile.cpp - register tiles over packed panels --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/PanelTile.h"

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// KernelBuilder
//===----------------------------------------------------------------------===//

void KernelBuilder::loop(Value lower, Value upper, int64_t step,
                         function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(*this, lower, upper, index(step));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(loop.getBody()->getTerminator());
  body(loop.getInductionVar());
}

void KernelBuilder::parallel(ValueRange counts,
                             function_ref<void(ValueRange)> body) {
  SmallVector<Value> lower(counts.size(), index(0)),
      step(counts.size(), index(1));
  auto loop = scf::ParallelOp::create(*this, lower, counts, step);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(loop.getBody()->getTerminator());
  body(loop.getInductionVars());
}

//===----------------------------------------------------------------------===//
// TileTarget
//===----------------------------------------------------------------------===//

FailureOr<TileTarget> TileTarget::get(StringRef isa) {
  if (isa == "x86-64-v4")
    return TileTarget{16};
  if (isa == "x86-64-v3")
    return TileTarget{8};
  return failure();
}

PanelBlock TileTarget::getBlock(int64_t sources) const {
  if (lanes < kPanelColumns)
    return getTail(sources);
  return {4, {{{0, 0}, {1, 0}, {2, 0}, {3, 0}}}};
}

PanelBlock TileTarget::getTail(int64_t sources) const {
  PanelBlock block{sources, {}};
  if (lanes == kPanelColumns || sources == 1) {
    SmallVector<TileColumn> &columns = block.passes.emplace_back();
    for (int64_t panel = 0; panel < sources; ++panel)
      for (int64_t lane = 0; lane < kPanelColumns; lane += lanes)
        columns.push_back({panel, lane});
    return block;
  }
  // Half a panel of each source: what belongs together stays in one tile.
  for (int64_t lane = 0; lane < kPanelColumns; lane += lanes) {
    SmallVector<TileColumn> &columns = block.passes.emplace_back();
    for (int64_t panel = 0; panel < sources; ++panel)
      columns.push_back({panel, lane});
  }
  return block;
}

//===----------------------------------------------------------------------===//
// Tiles
//===----------------------------------------------------------------------===//

/// The same number, of which LLVM knows nothing. Without it the address of each
/// row would be computed anew in every step of the inner loop.
static Value hide(KernelBuilder &b, Value offset) {
  Type i64 = b.getI64Type();
  Value number = arith::IndexCastOp::create(b, i64, offset);
  number = LLVM::InlineAsmOp::create(
               b, i64, number, /*asm_string=*/"", /*constraints=*/"=r,0",
               /*has_side_effects=*/false, /*is_align_stack=*/false,
               LLVM::TailCallKind::None, LLVM::AsmDialectAttr(), ArrayAttr())
               .getResult(0);
  return arith::IndexCastOp::create(b, b.getIndexType(), number);
}

/// `value`, a scalar or a vector, as f32.
static Value widen(KernelBuilder &b, Value value) {
  Type f32 = b.getF32Type();
  if (getElementTypeOrSelf(value) == f32)
    return value;
  Type type = f32;
  if (auto vector = dyn_cast<VectorType>(value.getType()))
    type = vector.clone(f32);
  return arith::ExtFOp::create(b, type, value);
}

SmallVector<Value> moe::emitTile(KernelBuilder &b, const TileOperands &operands,
                                 ArrayRef<TileColumn> columns, int64_t lanes) {
  auto sumType = VectorType::get(lanes, b.getF32Type());
  auto loadType = VectorType::get(
      lanes, cast<MemRefType>(operands.panels.getType()).getElementType());
  Value panelSize = b.mul(operands.depth, kPanelColumns);
  SmallVector<Value> columnOffsets;
  for (TileColumn column : columns)
    columnOffsets.push_back(
        b.add(b.add(operands.panelOffset, b.mul(panelSize, column.panel)),
              column.lane));

  SmallVector<Value> rowOffsets;
  for (Value offset : operands.rowOffsets)
    rowOffsets.push_back(hide(b, offset));

  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(sumType));
  SmallVector<Value> zeros(columns.size() * rowOffsets.size(), zero);
  auto loop = scf::ForOp::create(
      b, b.index(0), operands.depth, b.index(1), zeros,
      [&](OpBuilder &inner, Location loc, Value k, ValueRange sums) {
        KernelBuilder body(loc, inner);
        Value step = body.mul(k, kPanelColumns);
        SmallVector<Value> right;
        for (Value offset : columnOffsets)
          right.push_back(widen(
              body, vector::LoadOp::create(body, loadType, operands.panels,
                                           body.add(offset, step))));
        SmallVector<Value> next;
        for (Value offset : rowOffsets) {
          Value scalar =
              memref::LoadOp::create(body, operands.rows, body.add(offset, k));
          Value left =
              vector::BroadcastOp::create(body, sumType, widen(body, scalar));
          for (Value vector : right)
            next.push_back(
                vector::FMAOp::create(body, left, vector, sums[next.size()]));
        }
        scf::YieldOp::create(body, next);
      });
  return loop.getResults();
}

void moe::emitRowGroups(KernelBuilder &b, Value count,
                        function_ref<void(Value, int64_t)> body) {
  Value groups = b.ceilDiv(count, kTileRows);
  // Without rows there are no groups, and nothing is divided by zero.
  Value divisor = b.createOrFold<arith::MaxUIOp>(groups, b.index(1));
  Value height = b.div(count, divisor);
  Value taller = b.rem(count, divisor);
  b.loop(b.index(0), groups, 1, [&](Value group) {
    Value first = b.add(b.mul(group, height), b.min(group, taller));
    Value isTaller = b.less(group, taller);
    Value own = b.add(
        height, arith::SelectOp::create(b, isTaller, b.index(1), b.index(0)));
    SmallVector<int64_t> cases;
    for (int64_t rows = 1; rows < kTileRows; ++rows)
      cases.push_back(rows);
    auto choice =
        scf::IndexSwitchOp::create(b, TypeRange(), own, cases, cases.size());
    for (auto [i, region] : llvm::enumerate(choice->getRegions())) {
      // Region 0 is the default.
      int64_t rows = i == 0 ? kTileRows : cases[i - 1];
      OpBuilder::InsertionGuard guard(b);
      b.createBlock(&region);
      body(first, rows);
      scf::YieldOp::create(b);
    }
  });
}
