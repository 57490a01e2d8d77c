//===- MatrixTile.h - products of tiles with tensor cores -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A block of threads computes a tile of the product of rows with panels of bf16
// (`#kern.packed`, depth 2) or f16 (depth 1). Its parts:
//
// - Rows and panels come to shared memory in steps of 32 along the inner extent
//   by `cp.async`, several steps ahead.
// - A step of a row is 64 bytes, four chunks of 16; chunk c of row r lies at
//   c ^ (r / 2 % 4), which is the 64-byte pattern of `wgmma` and keeps
//   `ldmatrix` from meeting a bank twice.
// - A step of a panel is 16 pairs of rows of 16 columns, 1024 bytes that are
//   consecutive in the artifact. Chunk c of pair p lies at c ^ (p / 2 % 2 * 2).
//   A register of an operand holds a pair of one column; so does a word of a
//   panel of bf16. A word of f16 holds two columns of one row.
// - Panels are the left operand and rows the right one: instructions multiply
//   at least 16 rows of the left but as few as 8 columns of the right one, so
//   that few rows of an expert waste nothing. Column 2 g + h of a panel is row
//   g + 8 h of the operand: a thread loads two columns at once into the
//   registers where the instruction wants them, and ends up with two
//   consecutive columns of a row, both gate and up projection of them.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_GPU_MATRIXTILE_H
#define PASSES_TARGET_GPU_MATRIXTILE_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <memory>

namespace mlir::moe {

/// The instructions that multiply.
enum class TileProduct {
  /// mma.sync: a warp multiplies 16 columns with 8 rows.
  Mma,
  /// wgmma: four warps together multiply 64 columns with all rows.
  Wgmma
};

/// What a block of threads computes.
struct TileShape {
  TileProduct product;
  /// Rows, and columns of each source. All sources of a warp have 16 columns,
  /// or a multiple.
  int64_t rows, columns;
  /// How warps share them.
  int64_t warpRows, warpColumns;
  /// Steps of the inner extent in shared memory.
  int64_t stages;
  /// Matrices that the same rows are multiplied with: gate and up projection.
  int64_t sources = 1;
  /// bf16 or f16.
  Type element = {};

  int64_t getThreads() const { return warpRows * warpColumns * 32; }
  int64_t getRowBytes() const { return rows * 64; }
  int64_t getStageBytes() const {
    return getRowBytes() + columns * sources * 64;
  }
  int64_t getSharedBytes() const { return stages * getStageBytes(); }
};

/// Arithmetic of addresses in 32 bits.
class TileBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value i32(int64_t value) {
    return arith::ConstantIntOp::create(*this, value, 32);
  }
  Value add(Value a, Value b) { return createOrFold<arith::AddIOp>(a, b); }
  Value add(Value a, int64_t b) { return b ? add(a, i32(b)) : a; }
  Value mul(Value a, int64_t b) {
    return b == 1 ? a : createOrFold<arith::MulIOp>(a, i32(b));
  }
  Value div(Value a, int64_t b) {
    return createOrFold<arith::DivUIOp>(a, i32(b));
  }
  Value rem(Value a, int64_t b) {
    return createOrFold<arith::RemUIOp>(a, i32(b));
  }
  Value exclusiveOr(Value a, Value b) {
    return createOrFold<arith::XOrIOp>(a, b);
  }
  Value min(Value a, Value b) { return createOrFold<arith::MinUIOp>(a, b); }
  Value less(Value a, Value b) {
    return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ult, a, b);
  }
  Value toIndex(Value a) {
    return arith::IndexCastUIOp::create(*this, getIndexType(), a);
  }
  Value toI32(Value index) {
    return arith::IndexCastUIOp::create(*this, getI32Type(), index);
  }
  Value wide(Value a) { return arith::ExtUIOp::create(*this, getI64Type(), a); }

  /// `base` and `offset` bytes; the offset has 32 or 64 bits.
  Value offset(Value base, Value offset) {
    return LLVM::GEPOp::create(*this, base.getType(), getI8Type(), base,
                               ArrayRef<LLVM::GEPArg>{offset});
  }
  Value offset(Value base, int64_t bytes) {
    if (bytes == 0)
      return base;
    return LLVM::GEPOp::create(
        *this, base.getType(), getI8Type(), base,
        ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(bytes)});
  }
  /// The address of a buffer in the memory of the device.
  Value address(Value buffer);
};

/// Emits the main loop of a tile into a kernel: copies of the steps ahead, then
/// the products of a step.
class MatrixTile {
public:
  /// `shared`: the address of getSharedBytes() bytes of shared memory; `depth`:
  /// the inner extent, a multiple of 32; `thread`: the number in the block.
  static std::unique_ptr<MatrixTile> create(TileBuilder &b,
                                            const TileShape &shape,
                                            Value shared, Value thread,
                                            int64_t depth);
  virtual ~MatrixTile() = default;

  int64_t getRowsPerThread() const {
    return llvm::divideCeil(shape.rows, getThreads() / 4);
  }
  /// Row number `i` of the tile that this thread copies.
  Value getCopiedRow(int64_t i);
  /// Multiplies; `rows` are the addresses of the rows that this thread copies,
  /// `getPanel` yields the address of panel `i` (of all sources in turn) of the
  /// tile.
  void run(ArrayRef<Value> rows, function_ref<Value(Value)> getPanel);

  /// Calls `store` for the sums that this thread holds: two columns of each
  /// source (vectors of f32) from `column` on of one row of the tile.
  void forEachResult(
      function_ref<void(Value row, Value column, ArrayRef<Value>)> store);

protected:
  static constexpr int64_t kRowBytes = 64;
  static constexpr int64_t kPanelBytes = 1024;

  MatrixTile(TileBuilder &b, const TileShape &shape, Value shared, Value thread,
             int64_t depth);

  /// Panels and rows of a warp, and sums of a thread for a panel. Of 8 rows it
  /// has 2 t and 2 t + 1 of column 2 g, and of column 2 g + 1.
  int64_t getPanels() const {
    return shape.columns / shape.warpColumns / 16 * shape.sources;
  }
  int64_t getRows() const { return shape.rows / shape.warpRows; }
  int64_t getPanelSums() const { return getRows() / 2; }
  int64_t getSumCount() const { return getPanels() * getPanelSums(); }

  /// Adds the products of one step, which is at `stage`.
  virtual void multiplyStep(Value stage, SmallVectorImpl<Value> &sums) = 0;
  /// Shows what the thread has copied to the instructions that multiply.
  virtual void publishCopies() {}

  /// The left operand of one half of a step: rows g and g + 8 of pair t, then
  /// of pair t + 4.
  SmallVector<Value> loadPanel(Value stage, int64_t panel, int64_t half);

  TileBuilder &b;
  TileShape shape;
  Value shared;
  Value thread, lane, warpRow, warpColumn;

private:
  int64_t getThreads() const { return shape.getThreads(); }
  Value loadWords(Value address, int64_t count);
  void copyStep(Value stage, ArrayRef<Value> rows, ArrayRef<Value> panels,
                Value step);
  Value getStage(Value number);
  Value nextStage(Value number);

  int64_t steps;
  /// Offsets of what the thread copies, in a stage and in a panel, and of what
  /// it loads.
  Value rowTarget, panelTarget, panelSource, panelOffset;
  /// With f16: of the second row of a pair.
  Value secondOffset;
  SmallVector<Value> sums;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_MATRIXTILE_H
