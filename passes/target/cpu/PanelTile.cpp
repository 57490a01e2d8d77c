//===- PanelTile.cpp - register tiles over packed panels --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/PanelTile.h"

using namespace mlir;
using namespace mlir::moe;

FailureOr<TileTarget> TileTarget::get(StringRef isa) {
  if (isa == "x86-64-v4")
    return TileTarget{/*lanes=*/16,    /*blockPanels=*/4,
                      /*wideRows=*/6,  /*mostWideRows=*/96,
                      /*taskRows=*/96, /*chunkDepth=*/512};
  if (isa == "x86-64-v3")
    return TileTarget{/*lanes=*/8,     /*blockPanels=*/2,
                      /*wideRows=*/3,  /*mostWideRows=*/6,
                      /*taskRows=*/96, /*chunkDepth=*/1024};
  return failure();
}

/// Steps along the inner extent for one prefetch. With two groups of rows or
/// more that is often enough.
static constexpr int64_t kUnroll = 2;

namespace {

/// One vector of a tile: lanes `lane` onwards of panel `panel` of the tile.
struct TileColumn {
  int64_t panel;
  int64_t lane;
};

/// Emits the tiles of at most `tileRows` rows and `width` panels.
class TileEmitter {
public:
  TileEmitter(KernelBuilder &b, const TileTarget &target,
              const PanelProduct &product, int64_t tileRows, int64_t width,
              Value firstPanel)
      : b(b), target(target), product(product), tileRows(tileRows),
        firstPanel(firstPanel),
        sumType(VectorType::get(target.lanes, b.getF32Type())),
        loadType(VectorType::get(
            target.lanes,
            cast<MemRefType>(product.panels.getType()).getElementType())) {
    for (int64_t panel = 0; panel < width; ++panel)
      for (int64_t lane = 0; lane < kPanelColumns; lane += target.lanes)
        columns.push_back({panel, lane});
  }

  void emit() {
    EvenSplit groups(b, product.count, tileRows);
    Value panelSize = b.mul(product.depth, kPanelColumns);
    Value start = b.add(product.panelOffset, b.mul(firstPanel, panelSize));
    for (TileColumn column : columns)
      columnOffsets.push_back(
          b.add(b.add(start, b.mul(panelSize, column.panel)), column.lane));
    // Each group fetches its share of the chunk that comes next; a single one
    // would only wait for it.
    Value share =
        b.ceilDiv(b.index(kPanelColumns), b.max(groups.parts, b.index(1)));
    b.loop(b.index(0), product.depth, target.chunkDepth, [&](Value chunk) {
      Value left = b.sub(product.depth, chunk);
      Value steps = b.min(left, b.index(target.chunkDepth));
      // Behind the last chunk of these panels come those of the next ones.
      Value next = b.mul(steps, kPanelColumns);
      if (int64_t others = columns.back().panel)
        next = b.add(next, b.select(b.less(b.index(target.chunkDepth), left),
                                    b.index(0), b.mul(panelSize, others)));
      b.loop(b.index(0), groups.parts, 1, [&](Value group) {
        auto [first, height] = groups.getPart(b, group);
        Value lead = b.add(next, b.mul(group, b.mul(steps, share)));
        Value isSingle = b.less(groups.parts, b.index(2));
        Ahead ahead = {b.select(isSingle, b.index(0), lead), share};
        switchHeight(height, [&, first = first](int64_t rows) {
          emitTile(first, rows, chunk, steps, ahead);
        });
      });
    });
  }

private:
  /// What is fetched in step k: the number `lead + k * step` behind the first
  /// one of the chunk.
  struct Ahead {
    Value lead, step;
  };

  void switchHeight(Value height, function_ref<void(int64_t)> body) {
    auto cases = llvm::to_vector(llvm::seq<int64_t>(1, tileRows));
    auto choice =
        scf::IndexSwitchOp::create(b, TypeRange(), height, cases, cases.size());
    for (auto [i, region] : llvm::enumerate(choice->getRegions())) {
      OpBuilder::InsertionGuard guard(b);
      b.createBlock(&region);
      // Region 0 is the default.
      body(i == 0 ? tileRows : cases[i - 1]);
      scf::YieldOp::create(b);
    }
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

  void emitTile(Value firstRow, int64_t height, Value chunk, Value steps,
                Ahead ahead) {
    SmallVector<Value> rowOffsets, sumOffsets, sums;
    for (int64_t row = 0; row < height; ++row) {
      Value place = b.add(firstRow, row);
      Value start = memref::LoadOp::create(b, product.starts, place);
      rowOffsets.push_back(b.add(start, chunk));
      Value sumRow = b.add(b.mul(place, target.getSumStride()),
                           b.mul(firstPanel, kPanelColumns));
      for (TileColumn column : columns) {
        sumOffsets.push_back(
            b.add(sumRow, column.panel * kPanelColumns + column.lane));
        sums.push_back(vector::LoadOp::create(b, sumType, product.sums,
                                              sumOffsets.back()));
      }
    }
    chunkStart = b.mul(chunk, kPanelColumns);
    Value whole = b.mul(b.div(steps, b.index(kUnroll)), kUnroll);
    ValueRange results =
        emitSteps(rowOffsets, b.index(0), whole, kUnroll, sums, &ahead);
    results = emitSteps(rowOffsets, whole, steps, /*unroll=*/1, results,
                        /*ahead=*/nullptr);
    for (auto [sum, offset] : llvm::zip_equal(results, sumOffsets))
      vector::StoreOp::create(b, sum, product.sums, offset);
  }

  /// Emits the steps of `unroll` at a time; returns the sums.
  ValueRange emitSteps(ArrayRef<Value> rowOffsets, Value begin, Value end,
                       int64_t unroll, ValueRange sums, const Ahead *ahead) {
    return scf::ForOp::create(b, begin, end, b.index(unroll), sums,
                              [&](OpBuilder &inner, Location loc, Value k,
                                  ValueRange carried) {
                                KernelBuilder body(loc, inner);
                                SmallVector<Value> next(carried);
                                if (ahead)
                                  emitPrefetch(body, k, *ahead);
                                for (int64_t i = 0; i < unroll; ++i)
                                  emitStep(body, rowOffsets, body.add(k, i),
                                           next);
                                scf::YieldOp::create(body, next);
                              })
        .getResults();
  }

  void emitPrefetch(KernelBuilder &body, Value k, const Ahead &ahead) {
    Value place =
        body.add(body.add(chunkStart, ahead.lead), body.mul(k, ahead.step));
    for (auto [column, offset] : llvm::zip_equal(columns, columnOffsets))
      if (column.lane == 0)
        memref::PrefetchOp::create(body, product.panels,
                                   body.add(offset, place), /*isWrite=*/false,
                                   /*localityHint=*/3, /*isDataCache=*/true);
  }

  /// Adds the products of step `k` to `sums`.
  void emitStep(KernelBuilder &body, ArrayRef<Value> rowOffsets, Value k,
                SmallVector<Value> &sums) {
    Value place = body.add(chunkStart, body.mul(k, kPanelColumns));
    SmallVector<Value> right;
    for (Value offset : columnOffsets)
      right.push_back(
          widen(body, vector::LoadOp::create(body, loadType, product.panels,
                                             body.add(offset, place))));
    Value *sum = sums.begin();
    for (Value offset : rowOffsets) {
      Value scalar =
          memref::LoadOp::create(body, product.rows, body.add(offset, k));
      Value left =
          vector::BroadcastOp::create(body, sumType, widen(body, scalar));
      for (Value vector : right) {
        *sum = vector::FMAOp::create(body, left, vector, *sum);
        ++sum;
      }
    }
  }

  KernelBuilder &b;
  const TileTarget &target;
  const PanelProduct &product;
  int64_t tileRows;
  Value firstPanel;
  VectorType sumType, loadType;
  SmallVector<TileColumn> columns;
  /// Where the vectors of the first step lie.
  SmallVector<Value> columnOffsets;
  /// Where the current chunk begins in a panel.
  Value chunkStart;
};

} // namespace

void moe::emitPanelProduct(KernelBuilder &b, const TileTarget &target,
                           const PanelProduct &product) {
  Value zero = b.index(0);
  auto type = VectorType::get(target.getSumStride(), b.getF32Type());
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(type));
  b.loop(zero, product.count, 1, [&](Value row) {
    vector::StoreOp::create(b, zeros, product.sums,
                            b.mul(row, target.getSumStride()));
  });
  Value isWhole =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, product.panelCount,
                            b.index(target.blockPanels));
  Value isWide = arith::AndIOp::create(
      b, isWhole, b.less(product.count, b.index(target.mostWideRows + 1)));
  b.branch(
      isWide,
      [&] {
        TileEmitter(b, target, product, target.wideRows, target.blockPanels,
                    zero)
            .emit();
      },
      [&] {
        b.loop(zero, product.panelCount, 1, [&](Value panel) {
          TileEmitter(b, target, product, kTileRows, /*width=*/1, panel).emit();
        });
      });
}
