//===- MmaTile.cpp - tiles of products by mma.sync -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/MmaTile.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace mlir::moe;

MmaTile::MmaTile(TileBuilder &b, const TileShape &shape, Value shared,
                 Value thread, int64_t depth)
    : MatrixTile(b, shape, shared, thread, depth) {
  warpRow = b.rem(warp, shape.warpRows);
  warpColumn = b.div(warp, shape.warpRows);

  // Of the left operand lanes 0 to 15 name the rows of the first eight numbers,
  // the others those of the next eight.
  Value firstRow = b.mul(warpRow, shape.rows / shape.warpRows);
  Value leftRow = b.add(firstRow, b.rem(lane, 16));
  for (int64_t half = 0; half < 2; ++half) {
    Value leftChunk = b.exclusiveOr(b.add(b.div(lane, 16), 2 * half),
                                    b.rem(b.div(lane, 2), 4));
    leftOffsets[half] = b.add(b.mul(leftRow, kRowBytes), b.mul(leftChunk, 16));
  }
  // Of the right operand lane / 4 is the column, four of them at once, lane % 4
  // the pair.
  Value column = b.div(lane, 4), part = b.rem(lane, 4);
  Value swizzled =
      b.exclusiveOr(b.rem(column, 4), b.mul(b.rem(b.div(part, 2), 2), 2));
  Value panel = b.add(
      b.mul(warpColumn, shape.columns / shape.warpColumns / 16 * shape.sources),
      b.mul(b.div(column, 4), shape.sources));
  rightOffset = b.add(b.add(b.mul(panel, kPanelBytes), b.mul(part, 64)),
                      b.mul(swizzled, 16));
  rightOffset = b.add(rightOffset, shape.getRowBytes());
}

SmallVector<Value> MmaTile::loadRows(Value address) {
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
void MmaTile::multiplyStep(Value stage, SmallVectorImpl<Value> &sums) {
  auto sumType = LLVM::LLVMStructType::getLiteral(
      b.getContext(), SmallVector<Type>(4, b.getF32Type()));
  Value right = b.offset(stage, rightOffset);
  int64_t groups = getGroups();
  for (int64_t half = 0; half < 2; ++half) {
    Value left = b.offset(stage, leftOffsets[half]);
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

void MmaTile::forEachResult(
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
