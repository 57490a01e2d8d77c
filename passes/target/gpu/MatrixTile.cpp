//===- MatrixTile.cpp - products of tiles with tensor cores ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/MatrixTile.h"

#include "passes/target/gpu/MmaTile.h"
#include "passes/target/gpu/Offload.h"
#include "passes/target/gpu/WgmmaTile.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace mlir::moe;

Value TileBuilder::address(Value buffer) {
  Value number = memref::ExtractAlignedPointerAsIndexOp::create(*this, buffer);
  Value integer = arith::IndexCastOp::create(*this, getI64Type(), number);
  return LLVM::IntToPtrOp::create(
      *this, LLVM::LLVMPointerType::get(getContext(), kDeviceSpace), integer);
}

std::unique_ptr<MatrixTile> MatrixTile::create(TileBuilder &b,
                                               const TileShape &shape,
                                               Value shared, Value thread,
                                               int64_t depth) {
  if (shape.product == TileProduct::Wgmma)
    return std::make_unique<WgmmaTile>(b, shape, shared, thread, depth);
  return std::make_unique<MmaTile>(b, shape, shared, thread, depth);
}

MatrixTile::MatrixTile(TileBuilder &b, const TileShape &shape, Value shared,
                       Value thread, int64_t depth)
    : b(b), shape(shape), shared(shared), thread(thread), steps(depth / 32) {
  lane = b.rem(thread, 32);
  Value warp = b.div(thread, 32);
  warpRow = b.rem(warp, shape.warpRows);
  warpColumn = b.div(warp, shape.warpRows);

  // Four threads copy a row, 64 a panel.
  Value row = b.div(thread, 4), chunk = b.rem(thread, 4);
  Value rowChunk = b.exclusiveOr(chunk, b.rem(b.div(row, 2), 4));
  rowTarget = b.add(b.mul(row, kRowBytes), b.mul(rowChunk, 16));
  Value pair = b.rem(row, 16);
  Value pairChunk = b.exclusiveOr(chunk, b.mul(b.rem(b.div(pair, 2), 2), 2));
  panelTarget =
      b.add(b.add(b.mul(b.div(thread, 64), kPanelBytes), b.mul(pair, 64)),
            b.mul(pairChunk, 16));
  panelTarget = b.add(panelTarget, shape.getRowBytes());
  panelSource = b.mul(b.rem(thread, 64), 16);

  // Lane / 4 is the row of the left operand, lane % 4 the pair.
  Value leftRow = b.div(lane, 4), part = b.rem(lane, 4);
  Value swizzle = b.mul(b.div(part, 2), 2);
  Value panels = b.add(b.mul(warpColumn, getPanels() * kPanelBytes),
                       b.add(b.mul(part, 64), b.i32(shape.getRowBytes())));
  // Two columns of bytes each, `perChunk` of them in 16 bytes.
  auto getOffset = [&](int64_t perChunk, int64_t firstChunk) {
    Value chunk =
        b.exclusiveOr(b.add(b.div(leftRow, perChunk), firstChunk), swizzle);
    return b.add(panels, b.add(b.mul(chunk, 16),
                               b.mul(b.rem(leftRow, perChunk), 16 / perChunk)));
  };
  if (shape.element.isBF16()) {
    panelOffset = getOffset(/*perChunk=*/2, /*firstChunk=*/0);
  } else {
    panelOffset = getOffset(/*perChunk=*/4, /*firstChunk=*/0);
    secondOffset = getOffset(/*perChunk=*/4, /*firstChunk=*/2);
  }
}

Value MatrixTile::getCopiedRow(int64_t i) {
  return b.add(b.div(thread, 4), i * (getThreads() / 4));
}

/// Starts the copies of one step and makes them a group.
void MatrixTile::copyStep(Value stage, ArrayRef<Value> rows,
                          ArrayRef<Value> panels, Value step) {
  auto copy = [&](Value to, Value from) {
    NVVM::CpAsyncOp::create(b, to, from, 16, NVVM::LoadCacheModifierKind::CG,
                            Value());
  };
  Value base = getStage(stage);
  Value left = b.offset(base, rowTarget), right = b.offset(base, panelTarget);
  Value rowDistance = b.mul(step, kRowBytes);
  Value panelDistance = b.mul(step, kPanelBytes);
  auto copyRows = [&] {
    for (auto [i, row] : llvm::enumerate(rows))
      copy(b.offset(left, i * (getThreads() / 4) * kRowBytes),
           b.offset(row, rowDistance));
  };
  if (shape.rows * 4 < getThreads()) {
    // Whole warps have no row.
    Value copies = b.less(thread, b.i32(shape.rows * 4));
    auto branch = scf::IfOp::create(b, copies, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(branch.thenBlock());
    copyRows();
  } else {
    copyRows();
  }
  for (auto [i, panel] : llvm::enumerate(panels))
    copy(b.offset(right, i * (getThreads() / 64) * kPanelBytes),
         b.offset(panel, panelDistance));
  NVVM::CpAsyncCommitGroupOp::create(b);
}

Value MatrixTile::loadWords(Value address, int64_t count) {
  Type type = b.getI32Type();
  if (count > 1)
    type = VectorType::get(count, type);
  Value words = LLVM::LoadOp::create(b, type, address, /*alignment=*/4 * count);
  // Of a vector that is used as a whole LLVM makes no loads of single words,
  // which would meet in a few banks.
  return count > 1 ? LLVM::FreezeOp::create(b, words).getResult() : words;
}

SmallVector<Value> MatrixTile::loadPanel(Value stage, int64_t panel,
                                         int64_t half) {
  SmallVector<Value> words;
  for (int64_t pair : {8 * half, 8 * half + 4}) {
    Value place = b.offset(stage, panel * kPanelBytes + pair * 64);
    if (shape.element.isBF16()) {
      Value two = loadWords(b.offset(place, panelOffset), 2);
      for (int64_t i = 0; i < 2; ++i)
        words.push_back(LLVM::ExtractElementOp::create(b, two, b.i32(i)));
      continue;
    }
    Value first = loadWords(b.offset(place, panelOffset), 1);
    Value second = loadWords(b.offset(place, secondOffset), 1);
    words.push_back(
        arith::OrIOp::create(b, arith::AndIOp::create(b, first, b.i32(0xffff)),
                             arith::ShLIOp::create(b, second, b.i32(16))));
    words.push_back(arith::OrIOp::create(
        b, arith::ShRUIOp::create(b, first, b.i32(16)),
        arith::AndIOp::create(b, second, b.i32(0xffff0000))));
  }
  return words;
}

Value MatrixTile::getStage(Value number) {
  return b.offset(shared, b.mul(number, shape.getStageBytes()));
}

Value MatrixTile::nextStage(Value number) {
  Value next = b.add(number, 1);
  Value wraps = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, next,
                                      b.i32(shape.stages));
  return arith::SelectOp::create(b, wraps, b.i32(0), next);
}

void MatrixTile::run(ArrayRef<Value> rows,
                     function_ref<Value(Value)> getPanel) {
  SmallVector<Value> panels;
  int64_t count = shape.columns / 16 * shape.sources;
  for (int64_t i = 0; i < count; i += getThreads() / 64) {
    Value panel = b.add(b.div(thread, 64), i);
    panels.push_back(b.offset(getPanel(panel), panelSource));
  }
  int64_t ahead = std::min(shape.stages - 1, steps);
  for (int64_t i = 0; i < ahead; ++i)
    copyStep(b.i32(i), rows, panels, b.i32(i));

  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0.0));
  SmallVector<Value> state(getSumCount(), zero);
  auto loop = [&](int64_t from, int64_t to,
                  function_ref<void(Value, SmallVectorImpl<Value> &)> body) {
    if (from >= to)
      return;
    auto nest = scf::ForOp::create(b, b.i32(from), b.i32(to), b.i32(1), state);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(nest.getBody());
    SmallVector<Value> next(nest.getRegionIterArgs());
    body(nest.getInductionVar(), next);
    scf::YieldOp::create(b, next);
    state.assign(nest.result_begin(), nest.result_end());
  };
  // The stage to read, and the one to fill: the one that was read before.
  state.append({b.i32(0), b.i32(ahead == shape.stages - 1 ? ahead : 0)});
  loop(0, steps - ahead, [&](Value step, SmallVectorImpl<Value> &next) {
    Value fill = next.pop_back_val(), read = next.pop_back_val();
    NVVM::CpAsyncWaitGroupOp::create(b, ahead - 1);
    publishCopies();
    NVVM::Barrier0Op::create(b);
    copyStep(fill, rows, panels, b.add(step, ahead));
    multiplyStep(getStage(read), next);
    next.append({nextStage(read), nextStage(fill)});
  });
  NVVM::CpAsyncWaitGroupOp::create(b, 0);
  publishCopies();
  NVVM::Barrier0Op::create(b);
  loop(steps - ahead, steps, [&](Value, SmallVectorImpl<Value> &next) {
    Value fill = next.pop_back_val(), read = next.pop_back_val();
    multiplyStep(getStage(read), next);
    next.append({nextStage(read), fill});
  });
  state.pop_back_n(2);
  sums = std::move(state);
}

void MatrixTile::forEachResult(
    function_ref<void(Value row, Value column, ArrayRef<Value>)> store) {
  auto type = VectorType::get(2, b.getF32Type());
  Value row = b.add(b.mul(warpRow, getRows()), b.mul(b.rem(lane, 4), 2));
  Value column = b.add(b.mul(warpColumn, shape.columns / shape.warpColumns),
                       b.mul(b.div(lane, 4), 2));
  for (int64_t eight = 0; eight < getRows() / 8; ++eight)
    for (int64_t next = 0; next < 2; ++next)
      for (int64_t first = 0; first < getPanels(); first += shape.sources) {
        SmallVector<Value> values;
        for (int64_t panel = first; panel < first + shape.sources; ++panel) {
          int64_t place = panel * getPanelSums() + eight * 4 + next;
          values.push_back(vector::FromElementsOp::create(
              b, type, ValueRange{sums[place], sums[place + 2]}));
        }
        store(b.add(row, eight * 8 + next),
              b.add(column, first / shape.sources * 16), values);
      }
}
