//===- MatrixTile.cpp - products by matrix registers ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/MatrixTile.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace mlir::moe;

/// Rows of a tile, and bytes of a row.
static constexpr int64_t kRows = 16;
static constexpr int64_t kRowBytes = 64;

/// Numbers of bf16 that a row of a tile has, and those of a panel that an entry
/// of them takes.
static constexpr int64_t kEntries = kRowBytes / 2;
static constexpr int64_t kStepSize = kEntries * kPanelColumns;

/// Steps of a chunk. Chunks of two tiles of rows and of the panels of a block
/// stay in the first-level cache together.
static constexpr int64_t kChunkSteps = 8;

static constexpr int64_t kLineNumbers = kRowBytes / 2;

/// Where the description of the registers has the bytes of a row, two of them
/// for each register, and the numbers of rows, one for each.
static constexpr int64_t kShapeBytes = 16;
static constexpr int64_t kShapeRows = 48;

/// Registers: four for sums, two for rows, two for panels.
static constexpr int64_t kSums = 0;
static constexpr int64_t kLeft = 4;
static constexpr int64_t kRight = 6;

static void call(KernelBuilder &b, StringRef name, ValueRange operands) {
  LLVM::CallIntrinsicOp::create(b, b.getStringAttr(("llvm.x86." + name).str()),
                                operands);
}

static Value getRegister(KernelBuilder &b, int64_t number) {
  return arith::ConstantOp::create(b, b.getI8IntegerAttr(number));
}

/// The address of number `place` of a buffer.
static Value getAddress(KernelBuilder &b, Value buffer, Value place) {
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, buffer);
  unsigned bits = getElementTypeOrSelf(buffer).getIntOrFloatBitWidth();
  Value address = arith::IndexCastUIOp::create(
      b, b.getI64Type(), b.add(base, b.mul(place, bits / 8)));
  return LLVM::IntToPtrOp::create(b, LLVM::LLVMPointerType::get(b.getContext()),
                                  address);
}

namespace {

/// Tiles whose sums are in registers at a time.
struct MatrixTileShape {
  int64_t rowTiles;
  int64_t panels;
};

/// Emits the body of a tile function.
class TileBody {
public:
  TileBody(KernelBuilder &b, Block::BlockArgListType list,
           const TileTarget &target, MatrixTileShape shape)
      : b(b), rows(list[0]), firstRow(list[1]), rowStride(list[2]),
        panels(list[3]), firstPanel(list[4]), panelStride(list[5]),
        sums(list[6]), firstSum(list[7]), steps(list[8]), ahead(list[9]),
        aheadLines(list[10]), shape(shape), target(target) {}

  void emit();

private:
  Value getBytes(Value numbers, int64_t size) {
    return arith::IndexCastUIOp::create(b, b.getI64Type(),
                                        b.mul(numbers, size));
  }
  void load(int64_t number, Value buffer, Value place, Value stride) {
    call(b, "tileloadd64",
         {getRegister(b, number), getAddress(b, buffer, place), stride});
  }
  /// The second tile of rows has the last two registers of sums.
  static int64_t getSum(int64_t tile, int64_t panel) {
    return kSums + tile * 2 + panel;
  }
  /// Calls `body` with the register and the place of each tile of sums.
  void forEachSum(function_ref<void(int64_t, Value)> body);
  Value getPanel(int64_t panel) {
    return b.add(firstPanel, b.mul(panelStride, panel));
  }
  void emitPrefetch(Value step);
  void emitStep(Value step);

  KernelBuilder &b;
  Value rows, firstRow, rowStride;
  Value panels, firstPanel, panelStride;
  Value sums, firstSum;
  Value steps, ahead, aheadLines;
  MatrixTileShape shape;
  const TileTarget &target;
};

} // namespace

void TileBody::forEachSum(function_ref<void(int64_t, Value)> body) {
  for (int64_t tile = 0; tile < shape.rowTiles; ++tile)
    for (int64_t panel = 0; panel < shape.panels; ++panel)
      body(getSum(tile, panel),
           b.add(firstSum,
                 tile * kRows * target.getSumStride() + panel * kPanelColumns));
}

void TileBody::emitPrefetch(Value step) {
  Value place = b.add(ahead, b.mul(b.mul(step, aheadLines), kLineNumbers));
  b.loop(b.index(0), aheadLines, 1, [&](Value line) {
    Value own = b.add(place, b.mul(line, kLineNumbers));
    for (int64_t panel = 0; panel < shape.panels; ++panel)
      memref::PrefetchOp::create(b, panels, b.add(getPanel(panel), own),
                                 /*isWrite=*/false, /*localityHint=*/2,
                                 /*isDataCache=*/true);
  });
}

/// Adds the products of a step to the tiles of sums. Panels take turns with the
/// registers, so that one is loaded while the other is multiplied.
void TileBody::emitStep(Value step) {
  for (int64_t tile = 0; tile < shape.rowTiles; ++tile)
    load(kLeft + tile, rows,
         b.add(b.add(firstRow, b.mul(rowStride, tile * kRows)),
               b.mul(step, kEntries)),
         getBytes(rowStride, 2));
  for (int64_t panel = 0; panel < shape.panels; ++panel) {
    int64_t right = kRight + panel % 2;
    load(right, panels, b.add(getPanel(panel), b.mul(step, kStepSize)),
         getBytes(b.index(kRowBytes), 1));
    for (int64_t tile = 0; tile < shape.rowTiles; ++tile)
      call(b, "tdpbf16ps",
           {getRegister(b, getSum(tile, panel)), getRegister(b, kLeft + tile),
            getRegister(b, right)});
  }
}

void TileBody::emit() {
  Value sumStride = getBytes(b.index(target.getSumStride()), 4);
  forEachSum([&](int64_t number, Value place) {
    load(number, sums, place, sumStride);
  });
  b.loop(b.index(0), steps, 1, [&](Value step) {
    emitPrefetch(step);
    emitStep(step);
  });
  forEachSum([&](int64_t number, Value place) {
    call(b, "tilestored64",
         {getRegister(b, number), getAddress(b, sums, place), sumStride});
  });
}

/// The function that adds to tiles of sums the products of tiles of rows and of
/// panels. The registers have their shapes when it is called.
///
/// Arguments, all numbers of elements: rows, where the first one starts, how
/// far they are apart, panels, where the first one starts, how far they are
/// apart, sums, where the first one is, number of steps, and where in each
/// panel and how many cache lines to fetch ahead in each step.
static func::FuncOp getMatrixTile(SymbolTable &symbols,
                                  const TileTarget &target,
                                  MLIRContext *context, MatrixTileShape shape) {
  std::string symbol =
      llvm::formatv("kern.tiles_bf16_{0}x{1}", shape.rowTiles, shape.panels);
  if (auto existing = symbols.lookup<func::FuncOp>(symbol))
    return existing;
  KernelBuilder b(UnknownLoc::get(context), context);
  auto getFlatType = [](Type element) {
    return MemRefType::get({ShapedType::kDynamic}, element);
  };
  Type index = b.getIndexType(), numbers = getFlatType(b.getBF16Type());
  SmallVector<Type> types = {numbers,
                             index,
                             index,
                             numbers,
                             index,
                             index,
                             getFlatType(b.getF32Type())};
  types.append(4, index);
  auto function = func::FuncOp::create(b, symbol, b.getFunctionType(types, {}));
  function.setPrivate();
  symbols.insert(function);
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  TileBody(b, entry->getArguments(), target, shape).emit();
  func::ReturnOp::create(b);
  return function;
}

namespace {

/// Emits the loops around tile functions.
class MatrixEmitter {
public:
  MatrixEmitter(KernelBuilder &b, SymbolTable &symbols,
                const TileTarget &target, const PanelProduct &product)
      : b(b), symbols(symbols), target(target), product(product),
        panelSize(b.mul(b.ceilDiv(product.depth, 2), 2 * kPanelColumns)),
        shapes(memref::AllocaOp::create(b, MemRefType::get(64, b.getI8Type()),
                                        b.getI64IntegerAttr(64))) {}

  void emit();

private:
  /// Rows of a product, equally far apart.
  struct Rows {
    Value buffer, first, stride;
  };
  /// What is multiplied: entries of rows from `entry` on, in steps of
  /// `entries`, and numbers of the panels from `place` on.
  struct Part {
    Value entry, place;
    Value entries, steps;
    Value ahead, aheadLines;
  };

  Rows getRows();
  Rows copyRest(const Rows &rows, Value whole, Value rest);
  void clearShapes();
  void loadShapes(Value height, Value entries);
  void emitTiles(const Rows &rows, const Part &part);
  void emitCall(const Rows &rows, const Part &part, Value firstRow, Value group,
                Value firstPanel, MatrixTileShape shape);

  KernelBuilder &b;
  SymbolTable &symbols;
  const TileTarget &target;
  const PanelProduct &product;
  Value panelSize;
  /// The shapes of the registers as the processor wants them.
  Value shapes;
};

} // namespace

MatrixEmitter::Rows MatrixEmitter::getRows() {
  Value second = b.min(b.index(1), b.sub(product.count, b.index(1)));
  Value first = memref::LoadOp::create(b, product.starts, b.index(0));
  return {product.rows, first,
          b.sub(memref::LoadOp::create(b, product.starts, second), first)};
}

/// The last `rest` entries of all rows behind `whole`, and zeros where there
/// is no pair. The product of such a zero and what a panel holds beside it, a
/// zero, too, is none.
MatrixEmitter::Rows MatrixEmitter::copyRest(const Rows &rows, Value whole,
                                            Value rest) {
  Value buffer = memref::AllocaOp::create(
      b, MemRefType::get(target.taskRows * kEntries, b.getBF16Type()),
      b.getI64IntegerAttr(kRowBytes));
  buffer = memref::CastOp::create(
      b, MemRefType::get({ShapedType::kDynamic}, b.getBF16Type()), buffer);
  auto type = VectorType::get(kEntries, b.getBF16Type());
  Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(type));
  Value mask = vector::CreateMaskOp::create(
      b, VectorType::get(kEntries, b.getI1Type()), rest);
  b.loop(b.index(0), product.count, 1, [&](Value row) {
    Value start = b.add(b.add(rows.first, b.mul(row, rows.stride)), whole);
    Value numbers =
        vector::MaskedLoadOp::create(b, type, rows.buffer, start, mask, zeros);
    vector::StoreOp::create(b, numbers, buffer, b.mul(row, kEntries));
  });
  return {buffer, b.index(0), b.index(kEntries)};
}

/// What all shapes have in common: rows of 64 bytes.
void MatrixEmitter::clearShapes() {
  SmallVector<int8_t> bytes(64);
  bytes[0] = 1; // the only palette
  for (int64_t number = 0; number < 8; ++number)
    bytes[kShapeBytes + 2 * number] = kRowBytes;
  auto type = VectorType::get(64, b.getI8Type());
  Value value = arith::ConstantOp::create(
      b, DenseElementsAttr::get(type, ArrayRef<int8_t>(bytes)));
  vector::StoreOp::create(b, value, shapes, b.index(0));
}

/// Gives the registers the shapes for `height` rows and steps of `entries`.
void MatrixEmitter::loadShapes(Value height, Value entries) {
  auto set = [&](int64_t place, Value number) {
    memref::StoreOp::create(
        b, arith::IndexCastUIOp::create(b, b.getI8Type(), number), shapes,
        b.index(place));
  };
  Value first = b.min(height, b.index(kRows));
  // A single tile of rows has four tiles of sums.
  Value last = b.sub(height, first);
  last = b.select(b.less(b.index(0), last), last, first);
  for (int64_t number : {kSums, kSums + 1, kLeft})
    set(kShapeRows + number, first);
  for (int64_t number : {kSums + 2, kSums + 3, kLeft + 1})
    set(kShapeRows + number, last);
  for (int64_t number : {kRight, kRight + 1})
    set(kShapeRows + number, b.div(entries, b.index(2)));
  for (int64_t number : {kLeft, kLeft + 1})
    set(kShapeBytes + 2 * number, b.mul(entries, 2));
  call(b, "ldtilecfg", getAddress(b, shapes, b.index(0)));
}

void MatrixEmitter::emitCall(const Rows &rows, const Part &part, Value firstRow,
                             Value group, Value firstPanel,
                             MatrixTileShape shape) {
  Value ahead =
      b.add(part.ahead, b.mul(b.mul(group, b.mul(part.steps, part.aheadLines)),
                              kLineNumbers));
  func::CallOp::create(
      b, getMatrixTile(symbols, target, b.getContext(), shape),
      ValueRange{
          rows.buffer,
          b.add(b.add(rows.first, b.mul(firstRow, rows.stride)), part.entry),
          rows.stride, product.panels,
          b.add(b.add(product.panelOffset, b.mul(firstPanel, panelSize)),
                part.place),
          panelSize, product.sums,
          b.add(b.mul(firstRow, target.getSumStride()),
                b.mul(firstPanel, kPanelColumns)),
          part.steps, ahead, part.aheadLines});
}

/// Two tiles of rows take panels by twos, and a single one by fours, so that
/// there are four sums.
void MatrixEmitter::emitTiles(const Rows &rows, const Part &part) {
  Value zero = b.index(0), two = b.index(2);
  Value isWhole =
      arith::CmpIOp::create(b, arith::CmpIPredicate::eq, product.panelCount,
                            b.index(target.blockPanels));
  Value groups = b.ceilDiv(product.count, 2 * kRows);
  b.loop(zero, groups, 1, [&](Value group) {
    Value firstRow = b.mul(group, 2 * kRows);
    Value height = b.min(b.sub(product.count, firstRow), b.index(2 * kRows));
    loadShapes(height, part.entries);
    auto call = [&](Value firstPanel, MatrixTileShape shape) {
      emitCall(rows, part, firstRow, group, firstPanel, shape);
    };
    b.branch(
        b.less(b.index(kRows), height),
        [&] {
          Value pairs = b.div(product.panelCount, two);
          b.loop(zero, pairs, 1,
                 [&](Value pair) { call(b.mul(pair, two), {2, 2}); });
          b.loop(b.mul(pairs, two), product.panelCount, 1,
                 [&](Value panel) { call(panel, {2, 1}); });
        },
        [&] {
          b.branch(
              isWhole, [&] { call(zero, {1, target.blockPanels}); },
              [&] {
                b.loop(zero, product.panelCount, 1,
                       [&](Value panel) { call(panel, {1, 1}); });
              });
        });
  });
}

void MatrixEmitter::emit() {
  product.clearSums(b, target);
  Value isSome = b.less(b.index(0), product.count);
  auto choice = scf::IfOp::create(b, isSome, /*withElseRegion=*/false);
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPoint(choice.thenYield());
  clearShapes();
  Rows rows = getRows();
  Value groups = b.ceilDiv(product.count, 2 * kRows);
  // Each group fetches its share of the chunk that comes next.
  Value lines = b.ceilDiv(b.index(kStepSize / kLineNumbers), groups);
  Value whole = b.div(product.depth, b.index(kEntries));
  b.loop(b.index(0), whole, kChunkSteps, [&](Value chunk) {
    Value steps = b.min(b.sub(whole, chunk), b.index(kChunkSteps));
    Value size = b.mul(steps, kStepSize);
    // Behind the last chunk of these panels come those of the next ones.
    Value hasMore = b.less(b.add(chunk, kChunkSteps), whole);
    Value others = b.mul(panelSize, b.sub(product.panelCount, b.index(1)));
    emitTiles(rows,
              {b.mul(chunk, kEntries), b.mul(chunk, kStepSize),
               b.index(kEntries), steps,
               b.add(size, b.select(hasMore, b.index(0), others)), lines});
  });
  Value rest = b.rem(product.depth, b.index(kEntries));
  auto hasRest = scf::IfOp::create(b, b.less(b.index(0), rest),
                                   /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard restGuard(b);
    b.setInsertionPoint(hasRest.thenYield());
    Value entries = b.mul(b.ceilDiv(rest, 2), 2);
    emitTiles(copyRest(rows, b.mul(whole, kEntries), rest),
              {b.index(0), b.mul(whole, kStepSize), entries, b.index(1),
               b.index(0), b.index(0)});
  }
  call(b, "tilerelease", {});
}

void moe::emitMatrixProduct(KernelBuilder &b, SymbolTable &symbols,
                            const TileTarget &target,
                            const PanelProduct &product) {
  MatrixEmitter(b, symbols, target, product).emit();
}
