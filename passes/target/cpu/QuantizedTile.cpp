//===- QuantizedTile.cpp - register tiles over quantised panels -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/QuantizedTile.h"

#include "passes/target/cpu/QuantizedNumbers.h"

using namespace mlir;
using namespace mlir::moe;

/// How far ahead panels are fetched where little else is done, in bytes: the
/// hardware stops at each page.
static constexpr int64_t kAheadBytes = 2048;

namespace {

/// One vector of a tile: lanes `lane` onwards of panel `panel` of the tile.
struct TileColumn {
  int64_t panel;
  int64_t lane;
};

class QuantizedEmitter {
public:
  QuantizedEmitter(KernelBuilder &b, const TileTarget &target,
                   kern::QuantizedAttr layout, const PanelProduct &product)
      : b(b), target(target), numbers(target, layout), product(product),
        group(layout.getGroup()), chunkRows(numbers.getChunkRows()),
        sumType(VectorType::get(target.lanes, b.getF32Type())),
        panelBytes(numbers.getPanelBytes(b, product.depth)) {}

  void emit();

private:
  using Values = SmallVector<Value>;
  /// The columns of some panels side by side.
  struct Tile {
    SmallVector<TileColumn> columns;
    Value firstPanel;
    /// Where the panel of each column starts.
    Values panelOffsets;
  };
  /// Adds the products of some numbers of a group, from row `k` of the panels
  /// on, to the sums.
  using AddGroup =
      function_ref<void(Value groupNumber, Value count, Values &sums)>;

  bool isWide() const { return target.lanes == kPanelColumns; }
  Tile getTile(Value firstPanel, int64_t width);
  void emitDirect(const Tile &tile, int64_t height);
  void emitTiles(const Tile &tile, Value chunk, Value rows, Value scratch);
  void emitUnpack(Value panel, Value chunk, Value rows, Value scratch);
  Values emitGroups(const Tile &tile, ArrayRef<Value> rowStarts, Value begin,
                    Value end, Value depth, ValueRange totals, AddGroup add);
  void subtractZeros(const Tile &tile, ArrayRef<Value> rowStarts, Value first,
                     Value count, Value place, Values &sums);
  Value sumRow(Value start, Value count);
  void emitPrefetch(Value offset, int64_t bytes);
  void multiply(ArrayRef<Value> rowStarts, Value k, ArrayRef<Value> right,
                Values &sums);
  Value getSumOffset(const Tile &tile, Value row, TileColumn column);

  KernelBuilder &b;
  const TileTarget &target;
  QuantizedNumbers numbers;
  const PanelProduct &product;
  int64_t group;
  int64_t chunkRows;
  VectorType sumType;
  Value panelBytes;
};

} // namespace

QuantizedEmitter::Tile QuantizedEmitter::getTile(Value firstPanel,
                                                 int64_t width) {
  Tile tile;
  tile.firstPanel = firstPanel;
  for (int64_t panel = 0; panel < width; ++panel)
    for (int64_t lane = 0; lane < kPanelColumns; lane += target.lanes) {
      tile.columns.push_back({panel, lane});
      tile.panelOffsets.push_back(b.add(
          product.panelOffset, b.mul(b.add(firstPanel, panel), panelBytes)));
    }
  return tile;
}

Value QuantizedEmitter::getSumOffset(const Tile &tile, Value row,
                                     TileColumn column) {
  Value start = b.add(b.mul(row, target.getSumStride()),
                      b.mul(tile.firstPanel, kPanelColumns));
  return b.add(start, column.panel * kPanelColumns + column.lane);
}

/// Adds the products of entry `k` of the rows and one vector of each column.
void QuantizedEmitter::multiply(ArrayRef<Value> rowStarts, Value k,
                                ArrayRef<Value> right, Values &sums) {
  Value *sum = sums.begin();
  for (Value start : rowStarts) {
    Value entry = memref::LoadOp::create(b, product.rows, b.add(start, k));
    Value left = vector::BroadcastOp::create(b, sumType, entry);
    for (Value vector : right) {
      *sum = vector::FMAOp::create(b, left, vector, *sum);
      ++sum;
    }
  }
}

/// The sum of `count` entries of a row from `start` on, as a vector. Those of a
/// whole group are added side by side.
Value QuantizedEmitter::sumRow(Value start, Value count) {
  Value zero = arith::ConstantOp::create(b, b.getF32FloatAttr(0));
  auto sumEntries = [&](Value init, Value begin, Value end) -> Value {
    auto loop = scf::ForOp::create(b, begin, end, b.index(1), init);
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPointToStart(loop.getBody());
    Value entry = memref::LoadOp::create(b, product.rows,
                                         b.add(start, loop.getInductionVar()));
    Value sum =
        arith::AddFOp::create(b, loop.getRegionIterArgs().front(), entry);
    scf::YieldOp::create(b, sum);
    return loop.getResult(0);
  };
  auto sumGroup = [&]() -> Value {
    Value sum;
    for (int64_t k = 0; k + target.lanes <= group; k += target.lanes) {
      Value part =
          vector::LoadOp::create(b, sumType, product.rows, b.add(start, k));
      sum = sum ? arith::AddFOp::create(b, sum, part) : part;
    }
    if (!sum)
      return sumEntries(zero, b.index(0), b.index(group));
    for (int64_t half = target.lanes / 2; half > 0; half /= 2) {
      auto getPart = [&](int64_t first) -> Value {
        return vector::ExtractStridedSliceOp::create(b, sum, first, half, 1);
      };
      sum = arith::AddFOp::create(b, getPart(0), getPart(half));
    }
    sum = vector::ExtractOp::create(b, sum, int64_t(0));
    int64_t rest = group % target.lanes;
    return rest == 0 ? sum
                     : sumEntries(sum, b.index(group - rest), b.index(group));
  };
  Value isWhole =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, count, b.index(group));
  auto choice = scf::IfOp::create(b, b.getF32Type(), isWhole,
                                  /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(choice.thenBlock());
  scf::YieldOp::create(b, sumGroup());
  b.setInsertionPointToStart(choice.elseBlock());
  scf::YieldOp::create(b, sumEntries(zero, b.index(0), count));
  b.setInsertionPointAfter(choice);
  return vector::BroadcastOp::create(b, sumType, choice.getResult(0));
}

/// Subtracts what the zero points of the group at `place` add to its sums.
void QuantizedEmitter::subtractZeros(const Tile &tile,
                                     ArrayRef<Value> rowStarts, Value first,
                                     Value count, Value place, Values &sums) {
  Values zeros;
  for (auto [column, offset] :
       llvm::zip_equal(tile.columns, tile.panelOffsets)) {
    Value vector =
        numbers.loadZeros(b, product.panels, b.add(offset, place), column.lane);
    zeros.push_back(arith::NegFOp::create(b, vector));
  }
  Value *sum = sums.begin();
  for (Value start : rowStarts) {
    Value row = sumRow(b.add(start, first), count);
    for (Value zero : zeros) {
      *sum = vector::FMAOp::create(b, zero, row, *sum);
      ++sum;
    }
  }
}

void QuantizedEmitter::emitPrefetch(Value offset, int64_t bytes) {
  for (int64_t line = 0; line < bytes; line += 64)
    memref::PrefetchOp::create(b, product.panels,
                               b.add(offset, kAheadBytes + line),
                               /*isWrite=*/false, /*localityHint=*/3,
                               /*isDataCache=*/true);
}

/// Goes through groups `begin` to `end` of a panel, which has `depth` rows:
/// `totals` plus the sums of each group times its scales.
QuantizedEmitter::Values
QuantizedEmitter::emitGroups(const Tile &tile, ArrayRef<Value> rowStarts,
                             Value begin, Value end, Value depth,
                             ValueRange totals, AddGroup add) {
  return b.carry(begin, end, totals, [&](Value number, Values &values) {
    Value first = b.mul(number, group);
    Value count = b.min(b.sub(depth, first), b.index(group));
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(sumType));
    Values sums(values.size(), zero);
    add(number, count, sums);
    Value place = b.mul(number, numbers.getGroupBytes());
    if (numbers.hasZeros())
      subtractZeros(tile, rowStarts, first, count, place, sums);
    Values scales;
    for (auto [column, offset] :
         llvm::zip_equal(tile.columns, tile.panelOffsets))
      scales.push_back(numbers.loadScales(b, product.panels,
                                          b.add(offset, place), column.lane));
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = vector::FMAOp::create(b, scales[i % scales.size()], sums[i],
                                        values[i]);
  });
}

/// All of the product of `height` rows, unpacked into registers.
void QuantizedEmitter::emitDirect(const Tile &tile, int64_t height) {
  constexpr int64_t kStep = QuantizedNumbers::kStepRows;
  Values rows = product.loadStarts(b, b.index(0), height);
  Value zero = arith::ConstantOp::create(b, b.getZeroAttr(sumType));
  Values totals(height * tile.columns.size(), zero);
  auto add = [&](Value number, Value count, Values &sums) {
    Values places;
    for (Value offset : tile.panelOffsets)
      places.push_back(b.add(offset, b.mul(number, numbers.getGroupBytes())));
    Value first = b.mul(number, group);
    Value steps = b.div(count, b.index(kStep));
    sums = b.carry(b.index(0), steps, sums, [&](Value step, Values &values) {
      Value offset = b.mul(step, numbers.getStepBytes());
      SmallVector<Values> words;
      for (auto [column, place] : llvm::zip_equal(tile.columns, places)) {
        Value start = b.add(place, offset);
        if (column.lane == 0)
          emitPrefetch(start, numbers.getStepBytes());
        words.push_back(
            numbers.loadStep(b, product.panels, start, column.lane));
      }
      Value k = b.add(first, b.mul(step, kStep));
      for (int64_t row = 0; row < kStep; ++row) {
        Values right;
        for (const Values &word : words)
          right.push_back(numbers.unpack(b, word, row));
        multiply(rows, b.add(k, row), right, values);
      }
    });
    // The last group may end within a step.
    Value whole = b.mul(steps, kStep);
    Value offset = b.mul(steps, numbers.getStepBytes());
    sums = b.carry(
        b.index(0), b.sub(count, whole), sums, [&](Value row, Values &values) {
          Values right;
          for (auto [column, place] : llvm::zip_equal(tile.columns, places))
            right.push_back(numbers.loadRow(
                b, product.panels, b.add(place, offset), row, column.lane));
          multiply(rows, b.add(b.add(first, whole), row), right, values);
        });
  };
  totals = emitGroups(tile, rows, b.index(0), b.ceilDiv(product.depth, group),
                      product.depth, totals, add);
  Value *total = totals.begin();
  for (int64_t row = 0; row < height; ++row)
    for (TileColumn column : tile.columns)
      vector::StoreOp::create(b, *total++, product.sums,
                              getSumOffset(tile, b.index(row), column));
}

/// Unpacks the rows from `chunk` on of a panel. The last group is unpacked as
/// if it were whole.
void QuantizedEmitter::emitUnpack(Value panel, Value chunk, Value rows,
                                  Value scratch) {
  constexpr int64_t kStep = QuantizedNumbers::kStepRows;
  Tile tile = getTile(panel, /*width=*/1);
  Value base = b.mul(panel, chunkRows * kPanelColumns);
  Value firstGroup = b.div(chunk, b.index(group));
  b.loop(b.index(0), b.ceilDiv(rows, group), 1, [&](Value number) {
    Value place = b.mul(b.add(firstGroup, number), numbers.getGroupBytes());
    Values places;
    for (Value offset : tile.panelOffsets)
      places.push_back(b.add(offset, place));
    Value first = b.mul(number, group);
    b.loop(b.index(0), b.index(group / kStep), 1, [&](Value step) {
      Value start =
          b.add(base, b.mul(b.add(first, b.mul(step, kStep)), kPanelColumns));
      for (auto [column, own] : llvm::zip_equal(tile.columns, places)) {
        Values words = numbers.loadStep(
            b, product.panels, b.add(own, b.mul(step, numbers.getStepBytes())),
            column.lane);
        for (int64_t row = 0; row < kStep; ++row)
          vector::StoreOp::create(
              b, numbers.unpack(b, words, row), scratch,
              b.add(start, row * kPanelColumns + column.lane));
      }
    });
  });
}

/// The products of all rows with the rows from `chunk` on of unpacked panels.
void QuantizedEmitter::emitTiles(const Tile &tile, Value chunk, Value rows,
                                 Value scratch) {
  // Wide vectors leave room for six rows of a block, others for six of a panel.
  EvenSplit groups(b, product.count, kTileRows);
  Value firstGroup = b.div(chunk, b.index(group));
  Value lastGroup = b.add(firstGroup, b.ceilDiv(rows, group));
  Value depth = b.add(chunk, rows);
  b.loop(b.index(0), groups.parts, 1, [&](Value part) {
    auto [firstRow, height] = groups.getPart(b, part);
    b.choose(height, kTileRows, [&, firstRow = firstRow](int64_t most) {
      Values starts = product.loadStarts(b, firstRow, most), offsets, totals;
      for (int64_t row = 0; row < most; ++row)
        for (TileColumn column : tile.columns) {
          offsets.push_back(getSumOffset(tile, b.add(firstRow, row), column));
          totals.push_back(
              vector::LoadOp::create(b, sumType, product.sums, offsets.back()));
        }
      auto add = [&](Value number, Value count, Values &sums) {
        Value first = b.mul(number, group);
        Value own = b.sub(first, chunk);
        sums = b.carry(b.index(0), count, sums, [&](Value i, Values &values) {
          Value place = b.mul(b.add(own, i), kPanelColumns);
          Values right;
          for (TileColumn column : tile.columns) {
            Value start = b.mul(b.add(tile.firstPanel, column.panel),
                                chunkRows * kPanelColumns);
            right.push_back(vector::LoadOp::create(
                b, sumType, scratch, b.add(b.add(start, place), column.lane)));
          }
          multiply(starts, b.add(first, i), right, values);
        });
      };
      totals =
          emitGroups(tile, starts, firstGroup, lastGroup, depth, totals, add);
      for (auto [total, offset] : llvm::zip_equal(totals, offsets))
        vector::StoreOp::create(b, total, product.sums, offset);
    });
  });
}

void QuantizedEmitter::emit() {
  // As many rows as leave registers for words and numbers.
  const int64_t directRows = isWide() ? 4 : 2;
  Value scratch = memref::AllocaOp::create(
      b,
      MemRefType::get(target.blockPanels * chunkRows * kPanelColumns,
                      b.getF32Type()),
      b.getI64IntegerAttr(64));
  Value zero = b.index(0);
  b.branch(
      b.less(product.count, b.index(directRows + 1)),
      [&] {
        product.forEachTile(b, target, [&](Value firstPanel, int64_t width) {
          Tile tile = getTile(firstPanel, width);
          b.choose(product.count, directRows,
                   [&](int64_t height) { emitDirect(tile, height); });
        });
      },
      [&] {
        product.clearSums(b, target);
        b.loop(zero, product.depth, chunkRows, [&](Value chunk) {
          Value rows = b.min(b.sub(product.depth, chunk), b.index(chunkRows));
          b.loop(zero, product.panelCount, 1,
                 [&](Value panel) { emitUnpack(panel, chunk, rows, scratch); });
          auto emit = [&](Value firstPanel, int64_t width) {
            emitTiles(getTile(firstPanel, width), chunk, rows, scratch);
          };
          if (isWide())
            return product.forEachTile(b, target, emit);
          b.loop(zero, product.panelCount, 1,
                 [&](Value panel) { emit(panel, /*width=*/1); });
        });
      });
}

void moe::emitQuantizedProduct(KernelBuilder &b, const TileTarget &target,
                               kern::QuantizedAttr layout,
                               const PanelProduct &product) {
  QuantizedEmitter(b, target, layout, product).emit();
}
