//===- ByteTile.cpp - register tiles that multiply bytes --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/ByteTile.h"

#include "passes/target/cpu/ByteRows.h"
#include "passes/target/cpu/QuantizedNumbers.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

#include <limits>

using namespace mlir;
using namespace mlir::moe;

/// Rows of a tile that leaves registers for unpacked numbers.
static constexpr int64_t kDirectRows = 4;

/// Rows of the panels, and bytes of a row, that one instruction multiplies.
static constexpr int64_t kQuad = 4;

/// Rows that are unpacked together, and the quads in them.
static constexpr int64_t kStep = QuantizedNumbers::kStepRows;
static constexpr int64_t kStepQuads = kStep / kQuad;

namespace {

class ByteEmitter {
public:
  ByteEmitter(KernelBuilder &b, const TileTarget &target,
              kern::QuantizedAttr layout, int64_t digits,
              const PanelProduct &product)
      : b(b), target(target), numbers(target, layout), layout(layout),
        rows(layout, digits), product(product), group(layout.getGroup()),
        chunkRows(numbers.getChunkRows()),
        sumType(VectorType::get(kPanelColumns, b.getF32Type())),
        wordType(VectorType::get(kPanelColumns, b.getI32Type())),
        byteType(VectorType::get(kQuad * kPanelColumns, b.getI8Type())),
        panelBytes(numbers.getPanelBytes(b, product.depth)) {}

  void emit();

private:
  using Values = SmallVector<Value>;
  /// Panels side by side: the number of the first one, and where each starts.
  struct Tile {
    Value firstPanel;
    Values offsets;
  };
  /// The quads of a step of a panel of a tile.
  using LoadStep = function_ref<Values(int64_t panel, Value step)>;

  bool isHalfByte() const {
    return layout.getNumbers().getIntOrFloatBitWidth() == 4;
  }
  Tile getTile(Value firstPanel, int64_t width);
  Values loadStep(Value offset, Value step);
  Value splat(int32_t value);
  void emitGroup(const Tile &tile, ArrayRef<Value> starts, Value firstRow,
                 Value number, LoadStep load);
  /// Digits that are multiplied one after the other into the same sums.
  struct Digits {
    int64_t first, last;
  };
  Digits getDigits(int64_t first) const;
  Value loadSum(Value start, Value number, Digits digits);
  void emitDigits(const Tile &tile, ArrayRef<Value> starts, Value firstRow,
                  Value number, Digits digits, LoadStep load);
  void forgetMemory();
  void addOffsets(ArrayRef<Value> starts, Value number, Digits digits,
                  Values &products);
  void addProducts(const Tile &tile, ArrayRef<Value> starts, Value number,
                   int64_t digit, LoadStep load, Values &products);
  void finishDigits(const Tile &tile, ArrayRef<Value> starts, Value firstRow,
                    Value number, Digits digits, ArrayRef<Value> products);
  void emitDirect(const Tile &tile, int64_t height);
  void emitUnpack(Value panel, Value firstGroup, Value groups, Value scratch);
  void emitTiles(const Tile &tile, Value firstGroup, Value groups,
                 Value scratch);

  KernelBuilder &b;
  const TileTarget &target;
  QuantizedNumbers numbers;
  kern::QuantizedAttr layout;
  ByteRows rows;
  const PanelProduct &product;
  int64_t group, chunkRows;
  VectorType sumType, wordType, byteType;
  Value panelBytes;
};

} // namespace

ByteEmitter::Tile ByteEmitter::getTile(Value firstPanel, int64_t width) {
  Tile tile{firstPanel, {}};
  for (int64_t panel = 0; panel < width; ++panel)
    tile.offsets.push_back(b.add(product.panelOffset,
                                 b.mul(b.add(firstPanel, panel), panelBytes)));
  return tile;
}

Value ByteEmitter::splat(int32_t value) {
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(wordType, b.getI32IntegerAttr(value)));
}

/// The numbers of a step of the group at `offset` as unsigned bytes, four rows
/// of each column side by side.
ByteEmitter::Values ByteEmitter::loadStep(Value offset, Value step) {
  Value place = b.add(offset, b.mul(step, numbers.getStepBytes()));
  auto load = [&](int64_t first) -> Value {
    return vector::LoadOp::create(b, byteType, product.panels,
                                  b.add(place, first));
  };
  bool isSigned = !numbers.hasZeros();
  if (isHalfByte()) {
    Value words = vector::BitCastOp::create(b, wordType, load(0));
    if (isSigned)
      words = arith::XOrIOp::create(b, words,
                                    splat(static_cast<int32_t>(0x88888888)));
    Value mask = splat(0x0f0f0f0f);
    Value high = arith::ShRUIOp::create(b, words, splat(4));
    return {arith::AndIOp::create(b, words, mask),
            arith::AndIOp::create(b, high, mask)};
  }
  // Rows lie one behind the other.
  SmallVector<int8_t> order;
  for (int64_t i = 0; i < kQuad * kPanelColumns; ++i)
    order.push_back(i % kQuad * kPanelColumns + i / kQuad);
  Value indices = arith::ConstantOp::create(
      b, DenseElementsAttr::get(byteType, ArrayRef<int8_t>(order)));
  Values quads;
  for (int64_t quad = 0; quad < kStepQuads; ++quad) {
    Value bytes =
        LLVM::CallIntrinsicOp::create(
            b, byteType, b.getStringAttr("llvm.x86.avx512.permvar.qi.512"),
            ValueRange{load(quad * kQuad * kPanelColumns), indices})
            .getResult(0);
    Value words = vector::BitCastOp::create(b, wordType, bytes);
    if (isSigned)
      words = arith::XOrIOp::create(b, words,
                                    splat(static_cast<int32_t>(0x80808080)));
    quads.push_back(words);
  }
  return quads;
}

/// Digits from `first` on whose products with a group fit into 32 bits: what
/// overflows on the way, with signed numbers that became unsigned, comes back.
ByteEmitter::Digits ByteEmitter::getDigits(int64_t first) const {
  unsigned bits = layout.getNumbers().getIntOrFloatBitWidth();
  int64_t largest =
      numbers.hasZeros() ? (int64_t(1) << bits) - 1 : int64_t(1) << (bits - 1);
  int64_t limit = std::numeric_limits<int32_t>::max() / (group * largest);
  int64_t last = first;
  while (last + 1 < rows.getDigits() &&
         rows.getLargest(first, last + 1) <= limit)
    ++last;
  return {first, last};
}

/// The sum of group `number` of a row, as the digits have it.
Value ByteEmitter::loadSum(Value start, Value number, Digits digits) {
  Value sum;
  for (int64_t digit = digits.first; digit <= digits.last; ++digit) {
    Value own =
        rows.loadSum(b, product.rows, start, product.depth, number, digit);
    if (sum)
      own = arith::AddIOp::create(
          b, own,
          arith::ShLIOp::create(
              b, sum, arith::ConstantOp::create(b, b.getI32IntegerAttr(8))));
    sum = own;
  }
  return sum;
}

/// Adds the scales times `products`, those of digits of group `number`, less
/// what zero points add to them.
void ByteEmitter::finishDigits(const Tile &tile, ArrayRef<Value> starts,
                               Value firstRow, Value number, Digits digits,
                               ArrayRef<Value> products) {
  Values scales, zeros;
  Value place = b.mul(number, numbers.getGroupBytes());
  for (Value offset : tile.offsets) {
    Value start = b.add(offset, place);
    scales.push_back(numbers.loadScales(b, product.panels, start, /*lane=*/0));
    if (numbers.hasZeros())
      zeros.push_back(arith::NegFOp::create(
          b, numbers.loadZeros(b, product.panels, start, /*lane=*/0)));
  }
  const Value *next = products.begin();
  float weight = rows.getWeight(digits.last);
  for (auto [i, start] : llvm::enumerate(starts)) {
    Value scale = rows.loadScale(b, product.rows, start, product.depth, number);
    if (weight != 1)
      scale = arith::MulFOp::create(
          b, scale, arith::ConstantOp::create(b, b.getF32FloatAttr(weight)));
    Value rowScale = vector::BroadcastOp::create(b, sumType, scale);
    Value byteSum;
    if (numbers.hasZeros())
      byteSum = vector::BroadcastOp::create(
          b, sumType,
          arith::SIToFPOp::create(b, b.getF32Type(),
                                  loadSum(start, number, digits)));
    Value first = b.add(b.mul(b.add(firstRow, i), target.getSumStride()),
                        b.mul(tile.firstPanel, kPanelColumns));
    for (size_t panel = 0; panel < tile.offsets.size(); ++panel) {
      Value sum = arith::SIToFPOp::create(b, sumType, *next++);
      if (byteSum)
        sum = vector::FMAOp::create(b, zeros[panel], byteSum, sum);
      sum = arith::MulFOp::create(b, sum, rowScale);
      Value to = b.add(first, panel * kPanelColumns);
      Value total = vector::LoadOp::create(b, sumType, product.sums, to);
      total = vector::FMAOp::create(b, scales[panel], sum, total);
      vector::StoreOp::create(b, total, product.sums, to);
    }
  }
}

/// Adds the products of group `number` to the sums of some rows: registers hold
/// those of as many digits as fit into them, one after the other.
void ByteEmitter::emitGroup(const Tile &tile, ArrayRef<Value> starts,
                            Value firstRow, Value number, LoadStep load) {
  for (int64_t next = 0; next < rows.getDigits();) {
    Digits digits = getDigits(next);
    emitDigits(tile, starts, firstRow, number, digits, load);
    next = digits.last + 1;
  }
}

void ByteEmitter::emitDigits(const Tile &tile, ArrayRef<Value> starts,
                             Value firstRow, Value number, Digits digits,
                             LoadStep load) {
  Values products(starts.size() * tile.offsets.size(), splat(0));
  for (int64_t digit = digits.first; digit <= digits.last; ++digit) {
    if (digit > digits.first) {
      forgetMemory();
      for (Value &sum : products)
        sum = arith::ShLIOp::create(b, sum, splat(8));
    }
    if (digit == digits.last && !numbers.hasZeros())
      addOffsets(starts, number, digits, products);
    addProducts(tile, starts, number, digit, load, products);
  }
  finishDigits(tile, starts, firstRow, number, digits, products);
}

/// Keeps LLVM from holding the panels of one digit in registers for the next:
/// there are not as many.
void ByteEmitter::forgetMemory() {
  LLVM::InlineAsmOp::create(
      b, TypeRange(), ValueRange(), /*asm_string=*/"",
      /*constraints=*/"~{memory}", /*has_side_effects=*/true,
      /*is_align_stack=*/false, LLVM::tailcallkind::TailCallKind::None,
      LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
      /*operand_attrs=*/ArrayAttr());
}

/// Signed numbers became unsigned by a constant, which the sums of the rows
/// take out again.
void ByteEmitter::addOffsets(ArrayRef<Value> starts, Value number,
                             Digits digits, Values &products) {
  int32_t middle = 1 << (layout.getNumbers().getIntOrFloatBitWidth() - 1);
  Value factor = arith::ConstantOp::create(b, b.getI32IntegerAttr(-middle));
  int64_t width = products.size() / starts.size();
  for (auto [row, start] : llvm::enumerate(starts)) {
    Value offset = vector::BroadcastOp::create(
        b, wordType,
        arith::MulIOp::create(b, loadSum(start, number, digits), factor));
    for (Value &sum : MutableArrayRef(products).slice(row * width, width))
      sum = b.createOrFold<arith::AddIOp>(sum, offset);
  }
}

/// Adds the products of one digit.
void ByteEmitter::addProducts(const Tile &tile, ArrayRef<Value> starts,
                              Value number, int64_t digit, LoadStep load,
                              Values &products) {
  Value steps = b.index(group / kStep);
  Value first = rows.getStart(b, b.mul(number, group), product.depth, digit);
  products = b.carry(b.index(0), steps, products, [&](Value step, Values &own) {
    SmallVector<Values> quads;
    for (size_t panel = 0; panel < tile.offsets.size(); ++panel)
      quads.push_back(load(panel, step));
    Value entry = b.add(first, b.mul(step, kStep));
    Value *sum = own.begin();
    for (Value start : starts) {
      Values bytes;
      for (int64_t quad = 0; quad < kStepQuads; ++quad) {
        Value word = vector::LoadOp::create(
            b, VectorType::get(kQuad, b.getI8Type()), product.rows,
            b.add(b.add(start, entry), quad * kQuad));
        word = vector::BitCastOp::create(b, VectorType::get(1, b.getI32Type()),
                                         word);
        word = vector::BroadcastOp::create(
            b, wordType, vector::ExtractOp::create(b, word, int64_t(0)));
        bytes.push_back(vector::BitCastOp::create(b, byteType, word));
      }
      for (const Values &panel : quads) {
        for (auto [quad, words] : llvm::enumerate(panel))
          *sum =
              LLVM::CallIntrinsicOp::create(
                  b, wordType, b.getStringAttr("llvm.x86.avx512.vpdpbusd.512"),
                  ValueRange{*sum,
                             vector::BitCastOp::create(b, byteType, words),
                             bytes[quad]})
                  .getResult(0);
        ++sum;
      }
    }
  });
}

void ByteEmitter::emitDirect(const Tile &tile, int64_t height) {
  Values starts = product.loadStarts(b, b.index(0), height);
  b.loop(b.index(0), b.ceilDiv(product.depth, group), 1, [&](Value number) {
    Value place = b.mul(number, numbers.getGroupBytes());
    auto load = [&](int64_t panel, Value step) {
      return loadStep(b.add(tile.offsets[panel], place), step);
    };
    emitGroup(tile, starts, b.index(0), number, load);
  });
}

/// Unpacks groups of a panel.
void ByteEmitter::emitUnpack(Value panel, Value firstGroup, Value groups,
                             Value scratch) {
  Value start = b.add(product.panelOffset, b.mul(panel, panelBytes));
  Value base = b.mul(panel, chunkRows * kPanelColumns);
  b.loop(b.index(0), groups, 1, [&](Value own) {
    Value place =
        b.add(start, b.mul(b.add(firstGroup, own), numbers.getGroupBytes()));
    Value to = b.add(base, b.mul(own, group * kPanelColumns));
    b.loop(b.index(0), b.index(group / kStep), 1, [&](Value step) {
      Value first = b.add(to, b.mul(step, kStep * kPanelColumns));
      for (auto [quad, words] : llvm::enumerate(loadStep(place, step)))
        vector::StoreOp::create(
            b, vector::BitCastOp::create(b, byteType, words), scratch,
            b.add(first, quad * kQuad * kPanelColumns));
    });
  });
}

/// The products of all rows with unpacked groups. Each step fetches a part of
/// the numbers that are unpacked next.
void ByteEmitter::emitTiles(const Tile &tile, Value firstGroup, Value groups,
                            Value scratch) {
  EvenSplit parts(b, product.count, kTileRows);
  // Behind the last groups of these panels come the panels of the next call.
  Value size = b.mul(groups, numbers.getGroupBytes());
  Value next = b.add(b.mul(firstGroup, numbers.getGroupBytes()), size);
  int64_t others = tile.offsets.size() - 1;
  next = b.add(next, b.select(b.less(next, panelBytes), b.index(0),
                              b.mul(panelBytes, others)));
  Value steps = b.mul(groups, group / kStep);
  Value share = b.ceilDiv(size, b.mul(steps, b.max(parts.parts, b.index(1))));
  b.loop(b.index(0), parts.parts, 1, [&](Value part) {
    auto [firstRow, height] = parts.getPart(b, part);
    Value ahead = b.add(next, b.mul(part, b.mul(steps, share)));
    b.choose(height, kTileRows, [&, firstRow = firstRow](int64_t most) {
      Values starts = product.loadStarts(b, firstRow, most);
      b.loop(b.index(0), groups, 1, [&](Value own) {
        Value ownAhead = b.add(ahead, b.mul(own, b.mul(share, group / kStep)));
        auto load = [&](int64_t panel, Value step) -> Values {
          memref::PrefetchOp::create(
              b, product.panels,
              b.add(tile.offsets[panel], b.add(ownAhead, b.mul(step, share))),
              /*isWrite=*/false, /*localityHint=*/2, /*isDataCache=*/true);
          Value place = b.add(
              b.mul(b.add(tile.firstPanel, panel), chunkRows * kPanelColumns),
              b.add(b.mul(own, group * kPanelColumns),
                    b.mul(step, kStep * kPanelColumns)));
          Values quads;
          for (int64_t quad = 0; quad < kStepQuads; ++quad)
            quads.push_back(vector::LoadOp::create(
                b, byteType, scratch,
                b.add(place, quad * kQuad * kPanelColumns)));
          return quads;
        };
        emitGroup(tile, starts, firstRow, b.add(firstGroup, own), load);
      });
    });
  });
}

void ByteEmitter::emit() {
  Value scratch = memref::AllocaOp::create(
      b,
      MemRefType::get(target.blockPanels * chunkRows * kPanelColumns,
                      b.getI8Type()),
      b.getI64IntegerAttr(64));
  product.clearSums(b, target);
  b.branch(
      b.less(product.count, b.index(kDirectRows + 1)),
      [&] {
        product.forEachTile(b, target, [&](Value firstPanel, int64_t width) {
          Tile tile = getTile(firstPanel, width);
          b.choose(product.count, kDirectRows,
                   [&](int64_t height) { emitDirect(tile, height); });
        });
      },
      [&] {
        Value all = b.ceilDiv(product.depth, group);
        b.loop(b.index(0), all, chunkRows / group, [&](Value firstGroup) {
          Value groups =
              b.min(b.sub(all, firstGroup), b.index(chunkRows / group));
          b.loop(b.index(0), product.panelCount, 1, [&](Value panel) {
            emitUnpack(panel, firstGroup, groups, scratch);
          });
          product.forEachTile(b, target, [&](Value firstPanel, int64_t width) {
            emitTiles(getTile(firstPanel, width), firstGroup, groups, scratch);
          });
        });
      });
}

void moe::emitByteProduct(KernelBuilder &b, const TileTarget &target,
                          kern::QuantizedAttr layout, int64_t digits,
                          const PanelProduct &product) {
  ByteEmitter(b, target, layout, digits, product).emit();
}
