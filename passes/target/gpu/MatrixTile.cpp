//===- MatrixTile.cpp - products of tiles with tensor cores ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/MatrixTile.h"

#include "passes/target/gpu/Offload.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace mlir::moe;

/// Bytes of a step of a row, and of a step of a panel.
static constexpr int64_t kRowBytes = 64;
static constexpr int64_t kPanelBytes = 1024;

Value TileBuilder::address(Value buffer) {
  Value number = memref::ExtractAlignedPointerAsIndexOp::create(*this, buffer);
  Value integer = arith::IndexCastOp::create(*this, getI64Type(), number);
  return LLVM::IntToPtrOp::create(
      *this, LLVM::LLVMPointerType::get(getContext(), kDeviceSpace), integer);
}

MatrixTile::MatrixTile(TileBuilder &b, const TileShape &shape, Value shared,
                       Value thread, int64_t depth)
    : b(b), shape(shape), shared(shared), steps(depth / 32), thread(thread) {
  lane = b.rem(thread, 32);
  Value warp = b.div(thread, 32);
  warpRow = b.rem(warp, shape.warpRows);
  warpColumn = b.div(warp, shape.warpRows);

  // Copies: four threads for a row, 64 for a panel.
  Value row = b.div(thread, 4), chunk = b.rem(thread, 4);
  Value rowChunk = b.exclusiveOr(chunk, b.rem(b.div(row, 2), 4));
  rowTarget = b.add(b.mul(row, kRowBytes), b.mul(rowChunk, 16));
  Value pair = b.rem(row, 16);
  Value pairChunk = b.exclusiveOr(chunk, b.mul(b.rem(b.div(pair, 2), 2), 2));
  panelTarget =
      b.add(b.add(b.mul(b.div(thread, 64), kPanelBytes), b.mul(pair, 64)),
            b.mul(pairChunk, 16));
  panelSource = b.mul(b.rem(thread, 64), 16);

  // Loads of the left operand: lanes 0 to 15 name the rows of the first eight
  // numbers, the others those of the next eight.
  Value firstRow = b.mul(warpRow, shape.rows / shape.warpRows);
  Value leftRow = b.add(firstRow, b.rem(lane, 16));
  for (int64_t half = 0; half < 2; ++half) {
    Value leftChunk = b.exclusiveOr(b.add(b.div(lane, 16), 2 * half),
                                    b.rem(b.div(lane, 2), 4));
    leftOffsets[half] = b.add(b.mul(leftRow, kRowBytes), b.mul(leftChunk, 16));
  }
  // Loads of the right operand: lane / 4 is the column, four of them at once,
  // lane % 4 the pair.
  Value column = b.div(lane, 4), part = b.rem(lane, 4);
  Value swizzled =
      b.exclusiveOr(b.rem(column, 4), b.mul(b.rem(b.div(part, 2), 2), 2));
  Value panel = b.add(
      b.mul(warpColumn, shape.columns / shape.warpColumns / 16 * shape.sources),
      b.mul(b.div(column, 4), shape.sources));
  rightOffset = b.add(b.add(b.mul(panel, kPanelBytes), b.mul(part, 64)),
                      b.mul(swizzled, 16));
  rightOffset = b.add(rightOffset, shape.getRowBytes());
  panelTarget = b.add(panelTarget, shape.getRowBytes());
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
  Value base = b.offset(shared, b.mul(stage, shape.getStageBytes()));
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
  auto type = VectorType::get(count, b.getI32Type());
  return LLVM::LoadOp::create(b, type, address, /*alignment=*/16);
}

SmallVector<Value> MatrixTile::loadRows(Value address) {
  Type i32 = b.getI32Type();
  auto type = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                               SmallVector<Type>(4, i32));
  Value matrices = NVVM::LdMatrixOp::create(
      b, type, address, 4, NVVM::MMALayout::row,
      NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8),
      NVVM::LdStMatrixEltType::B16);
  SmallVector<Value> words;
  for (int64_t i = 0; i < 4; ++i)
    words.push_back(LLVM::ExtractValueOp::create(b, matrices, i));
  return words;
}

/// Adds the products of one step; sums are ordered by fragment of rows, group
/// of 32 columns, instruction, register.
void MatrixTile::multiplyStep(Value stage, SmallVectorImpl<Value> &sums) {
  auto sumType = LLVM::LLVMStructType::getLiteral(
      b.getContext(), SmallVector<Type>(4, b.getF32Type()));
  Value base = b.offset(shared, b.mul(stage, shape.getStageBytes()));
  Value right = b.offset(base, rightOffset);
  int64_t groups = getGroups();
  for (int64_t half = 0; half < 2; ++half) {
    Value left = b.offset(base, leftOffsets[half]);
    SmallVector<SmallVector<Value>> rows;
    for (int64_t m = 0; m < getFragments(); ++m)
      rows.push_back(loadRows(b.offset(left, m * 16 * kRowBytes)));
    for (int64_t g = 0; g < groups; ++g) {
      // Source g % sources of the pair of panels g / sources.
      int64_t panel = g / shape.sources * 2 * shape.sources + g % shape.sources;
      int64_t place = panel * kPanelBytes + half * 512;
      Value low = loadWords(b.offset(right, place), 4);
      Value high = loadWords(b.offset(right, place + 256), 4);
      for (int64_t t = 0; t < 4; ++t) {
        Value words[] = {LLVM::ExtractElementOp::create(b, low, b.i32(t)),
                         LLVM::ExtractElementOp::create(b, high, b.i32(t))};
        for (int64_t m = 0; m < getFragments(); ++m) {
          Value *sum = &sums[((m * groups + g) * 4 + t) * 4];
          auto product = NVVM::MmaOp::create(
              b, sumType, rows[m], words, ValueRange(ArrayRef(sum, 4)),
              ArrayRef<int64_t>{16, 8, 16}, std::nullopt, std::nullopt,
              std::array{NVVM::MMATypes::bf16, NVVM::MMATypes::bf16},
              std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
          for (int64_t i = 0; i < 4; ++i)
            sum[i] = LLVM::ExtractValueOp::create(b, product.getRes(), i);
        }
      }
    }
  }
}

Value MatrixTile::nextStage(Value stage) {
  Value next = b.add(stage, 1);
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
  SmallVector<Value> state(getFragments() * getGroups() * 16, zero);
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
    NVVM::Barrier0Op::create(b);
    copyStep(fill, rows, panels, b.add(step, ahead));
    multiplyStep(read, next);
    next.append({nextStage(read), nextStage(fill)});
  });
  NVVM::CpAsyncWaitGroupOp::create(b, 0);
  NVVM::Barrier0Op::create(b);
  loop(steps - ahead, steps, [&](Value, SmallVectorImpl<Value> &next) {
    Value fill = next.pop_back_val(), read = next.pop_back_val();
    multiplyStep(read, next);
    next.append({nextStage(read), fill});
  });
  state.pop_back_n(2);
  sums = std::move(state);
}

void MatrixTile::forEachResult(
    function_ref<void(Value row, Value column, ArrayRef<Value>)> store) {
  int64_t groups = getGroups();
  auto type = VectorType::get(8, b.getF32Type());
  Value row =
      b.add(b.mul(warpRow, shape.rows / shape.warpRows), b.div(lane, 4));
  Value column = b.add(b.mul(warpColumn, shape.columns / shape.warpColumns),
                       b.mul(b.rem(lane, 4), 8));
  for (int64_t m = 0; m < getFragments(); ++m)
    for (int64_t half = 0; half < 2; ++half)
      for (int64_t pair = 0; pair < groups / shape.sources; ++pair) {
        SmallVector<Value> values;
        for (int64_t source = 0; source < shape.sources; ++source) {
          int64_t g = pair * shape.sources + source;
          SmallVector<Value> elements;
          for (int64_t i = 0; i < 8; ++i)
            elements.push_back(
                sums[((m * groups + g) * 4 + i % 4) * 4 + half * 2 + i / 4]);
          values.push_back(vector::FromElementsOp::create(b, type, elements));
        }
        store(b.add(row, m * 16 + half * 8), b.add(column, pair * 32), values);
      }
}
