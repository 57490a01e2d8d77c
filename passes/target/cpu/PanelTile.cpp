//===- PanelTile.cpp - register tiles over packed panels --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/PanelTile.h"

using namespace mlir;
using namespace mlir::moe;

/// Steps along the inner extent for one prefetch. With two groups of rows or
/// more that is often enough.
static constexpr int64_t kUnroll = 2;

namespace {

/// One vector of a tile: lanes `lane` onwards of panel `panel` of the tile.
struct TileColumn {
  int64_t panel;
  int64_t lane;
};

/// Emits the tiles on `width` panels.
class TileEmitter {
public:
  TileEmitter(KernelBuilder &b, const TileTarget &target,
              const InnerProduct &family, const PanelProduct &product,
              int64_t width, Value firstPanel)
      : b(b), target(target), family(family), product(product),
        tileRows(family.getTileRows(width)), firstPanel(firstPanel),
        sumType(VectorType::get(target.lanes, b.getF32Type())) {
    for (int64_t panel = 0; panel < width; ++panel)
      for (int64_t lane = 0; lane < kPanelColumns; lane += target.lanes)
        columns.push_back({panel, lane});
  }

  void emit() {
    const int64_t depth = family.getDepth(), stepSize = family.getStepSize();
    EvenSplit groups(b, product.count, tileRows);
    Value panelSize = b.mul(b.ceilDiv(product.depth, depth), stepSize);
    Value start = b.add(product.panelOffset, b.mul(firstPanel, panelSize));
    for (TileColumn column : columns)
      panelOffsets.push_back(b.add(start, b.mul(panelSize, column.panel)));
    // The last step may lack rows.
    Value whole = b.div(product.depth, b.index(depth));
    // Each group fetches its share of the chunk that comes next; a single one
    // would only wait for it.
    Value share = b.ceilDiv(b.index(stepSize), b.max(groups.parts, b.index(1)));
    b.loop(b.index(0), whole, target.chunkSteps, [&](Value chunk) {
      Value left = b.sub(whole, chunk);
      Value steps = b.min(left, b.index(target.chunkSteps));
      // Behind the last chunk of these panels come those of the next ones.
      Value next = b.mul(steps, stepSize);
      if (int64_t others = columns.back().panel)
        next = b.add(next, b.select(b.less(b.index(target.chunkSteps), left),
                                    b.index(0), b.mul(panelSize, others)));
      b.loop(b.index(0), groups.parts, 1, [&](Value group) {
        auto [first, height] = groups.getPart(b, group);
        Value lead = b.add(next, b.mul(group, b.mul(steps, share)));
        Value isSingle = b.less(groups.parts, b.index(2));
        Ahead ahead = {b.select(isSingle, b.index(0), lead), share};
        b.choose(height, tileRows, [&, first = first](int64_t rows) {
          emitTile(first, rows, chunk, steps, ahead);
        });
      });
    });
    for (int64_t rest = 1; rest < depth; ++rest)
      emitRest(whole, rest);
  }

private:
  /// What is fetched in step k: the number `lead + k * step` behind the first
  /// one of the chunk.
  struct Ahead {
    Value lead, step;
  };

  /// The sums of some rows and where they are kept.
  struct Sums {
    SmallVector<Value> offsets;
    SmallVector<Value> values;
  };

  /// Where the entries of a row of the product start.
  Value getStart(Value row) {
    return memref::LoadOp::create(b, product.starts, row);
  }

  void loadSums(Value row, Sums &sums) {
    Value start = b.add(b.mul(row, target.getSumStride()),
                        b.mul(firstPanel, kPanelColumns));
    for (TileColumn column : columns) {
      sums.offsets.push_back(
          b.add(start, column.panel * kPanelColumns + column.lane));
      sums.values.push_back(vector::LoadOp::create(b, sumType, product.sums,
                                                   sums.offsets.back()));
    }
  }

  void storeSums(const Sums &sums) {
    for (auto [sum, offset] : llvm::zip_equal(sums.values, sums.offsets))
      vector::StoreOp::create(b, sum, product.sums, offset);
  }

  void emitTile(Value firstRow, int64_t height, Value chunk, Value steps,
                Ahead ahead) {
    SmallVector<Value> rowOffsets;
    Sums sums;
    for (int64_t i = 0; i < height; ++i) {
      Value row = b.add(firstRow, i);
      rowOffsets.push_back(
          b.add(getStart(row), b.mul(chunk, family.getDepth())));
      loadSums(row, sums);
    }
    chunkStart = b.mul(chunk, family.getStepSize());
    Value whole = b.mul(b.div(steps, b.index(kUnroll)), kUnroll);
    emitSteps(rowOffsets, b.index(0), whole, kUnroll, sums.values, &ahead);
    emitSteps(rowOffsets, whole, steps, /*unroll=*/1, sums.values,
              /*ahead=*/nullptr);
    storeSums(sums);
  }

  /// Emits the steps of `unroll` at a time; updates the sums.
  void emitSteps(ArrayRef<Value> rowOffsets, Value begin, Value end,
                 int64_t unroll, SmallVector<Value> &sums, const Ahead *ahead) {
    auto body = [&](OpBuilder &builder, Location loc, Value k,
                    ValueRange carried) {
      KernelBuilder inner(loc, builder);
      SmallVector<Value> next(carried);
      if (ahead)
        emitPrefetch(inner, k, *ahead);
      for (int64_t i = 0; i < unroll; ++i)
        emitStep(inner, rowOffsets, inner.add(k, i), next);
      scf::YieldOp::create(inner, next);
    };
    auto loop = scf::ForOp::create(b, begin, end, b.index(unroll), sums, body);
    llvm::copy(loop.getResults(), sums.begin());
  }

  void emitPrefetch(KernelBuilder &inner, Value k, const Ahead &ahead) {
    Value place =
        inner.add(inner.add(chunkStart, ahead.lead), inner.mul(k, ahead.step));
    for (auto [column, offset] : llvm::zip_equal(columns, panelOffsets))
      if (column.lane == 0)
        memref::PrefetchOp::create(inner, product.panels,
                                   inner.add(offset, place), /*isWrite=*/false,
                                   /*localityHint=*/3, /*isDataCache=*/true);
  }

  /// Adds the products of step `k` of the chunk to `sums`.
  void emitStep(KernelBuilder &inner, ArrayRef<Value> rowOffsets, Value k,
                SmallVector<Value> &sums) {
    Value place = inner.add(chunkStart, inner.mul(k, family.getStepSize()));
    Value entry = inner.mul(k, family.getDepth());
    SmallVector<Value> starts;
    for (Value offset : rowOffsets)
      starts.push_back(inner.add(offset, entry));
    multiplyStep(inner, place, starts, family.getDepth(), sums);
  }

  /// Adds the products of the step at `place` of the panels and of `count`
  /// entries of the rows from `starts` on.
  void multiplyStep(KernelBuilder &inner, Value place, ArrayRef<Value> starts,
                    int64_t count, SmallVector<Value> &sums) {
    SmallVector<InnerProduct::Operand> right;
    for (auto [column, offset] : llvm::zip_equal(columns, panelOffsets))
      right.push_back(family.loadPanel(inner, product.panels,
                                       inner.add(offset, place), column.lane));
    Value *sum = sums.begin();
    for (Value start : starts) {
      InnerProduct::Operand left =
          family.loadRow(inner, product.rows, start, count);
      for (const InnerProduct::Operand &vector : right) {
        *sum = family.multiply(inner, left, vector, *sum);
        ++sum;
      }
    }
  }

  /// Adds the last step, if it has just `count` rows of the panels.
  void emitRest(Value step, int64_t count) {
    Value rest = b.rem(product.depth, b.index(family.getDepth()));
    Value isRest = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, rest,
                                         b.index(count));
    auto choice = scf::IfOp::create(b, isRest, /*withElseRegion=*/false);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(choice.thenYield());
    Value place = b.mul(step, family.getStepSize());
    b.loop(b.index(0), product.count, 1, [&](Value row) {
      Sums sums;
      loadSums(row, sums);
      Value start = b.add(getStart(row), b.mul(step, family.getDepth()));
      multiplyStep(b, place, start, count, sums.values);
      storeSums(sums);
    });
  }

  KernelBuilder &b;
  const TileTarget &target;
  const InnerProduct &family;
  const PanelProduct &product;
  int64_t tileRows;
  Value firstPanel;
  VectorType sumType;
  SmallVector<TileColumn> columns;
  /// Where the panel of each vector starts.
  SmallVector<Value> panelOffsets;
  /// Where the current chunk begins in a panel.
  Value chunkStart;
};

} // namespace

SmallVector<Value> PanelProduct::loadStarts(KernelBuilder &b, Value first,
                                            int64_t rows) const {
  SmallVector<Value> result;
  for (int64_t row = 0; row < rows; ++row)
    result.push_back(memref::LoadOp::create(b, starts, b.add(first, row)));
  return result;
}

void PanelProduct::clearSums(KernelBuilder &b, const TileTarget &target) const {
  auto type = VectorType::get(target.getSumStride(), b.getF32Type());
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(type));
  b.loop(b.index(0), count, 1, [&](Value row) {
    vector::StoreOp::create(b, zeros, sums, b.mul(row, target.getSumStride()));
  });
}

void PanelProduct::forEachTile(KernelBuilder &b, const TileTarget &target,
                               function_ref<void(Value, int64_t)> body,
                               Value mayBeWide) const {
  Value isWide = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, panelCount,
                                       b.index(target.blockPanels));
  if (mayBeWide)
    isWide = arith::AndIOp::create(b, isWide, mayBeWide);
  b.branch(
      isWide, [&] { body(b.index(0), target.blockPanels); },
      [&] {
        b.loop(b.index(0), panelCount, 1,
               [&](Value panel) { body(panel, /*width=*/1); });
      });
}

void moe::emitPanelProduct(KernelBuilder &b, const TileTarget &target,
                           const InnerProduct &family,
                           const PanelProduct &product) {
  product.clearSums(b, target);
  auto emit = [&](Value firstPanel, int64_t width) {
    TileEmitter(b, target, family, product, width, firstPanel).emit();
  };
  product.forEachTile(b, target, emit,
                      b.less(product.count, b.index(target.mostWideRows + 1)));
}
