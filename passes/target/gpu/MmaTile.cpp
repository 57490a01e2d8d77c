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
  // Eight lanes name the rows of a matrix: eight rows of the first eight
  // numbers and of the next, and the same of eight rows more.
  Value inEight = b.rem(lane, 8), matrix = b.div(lane, 8);
  Value row = b.add(b.add(b.mul(warpRow, getRows()), inEight),
                    b.mul(b.div(matrix, 2), 8));
  for (int64_t half = 0; half < 2; ++half) {
    Value chunk = b.exclusiveOr(b.add(b.rem(matrix, 2), 2 * half),
                                b.rem(b.div(inEight, 2), 4));
    rowOffsets[half] = b.add(b.mul(row, kRowBytes), b.mul(chunk, 16));
  }
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

void MmaTile::multiplyStep(Value stage, SmallVectorImpl<Value> &sums) {
  auto sumType = LLVM::LLVMStructType::getLiteral(
      b.getContext(), SmallVector<Type>(4, b.getF32Type()));
  bool isBF16 = shape.element.isBF16();
  auto type = isBF16 ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  // The instruction for f16 has pairs of these as operands.
  auto toPairs = [&](SmallVector<Value> words) {
    auto pair = VectorType::get(2, shape.element);
    if (!isBF16)
      for (Value &word : words)
        word = LLVM::BitcastOp::create(b, pair, word);
    return words;
  };
  for (int64_t half = 0; half < 2; ++half) {
    SmallVector<Value> rows;
    for (int64_t row = 0; row < getRows(); row += 16)
      rows.append(toPairs(loadRows(
          b.offset(b.offset(stage, rowOffsets[half]), row * kRowBytes))));
    for (int64_t panel = 0; panel < getPanels(); ++panel) {
      SmallVector<Value> words = toPairs(loadPanel(stage, panel, half));
      for (int64_t eight = 0; eight < getRows() / 8; ++eight) {
        Value *sum = &sums[panel * getPanelSums() + eight * 4];
        auto product = NVVM::MmaOp::create(
            b, sumType, words, ArrayRef(rows).slice(2 * eight, 2),
            ValueRange(ArrayRef(sum, 4)), ArrayRef<int64_t>{16, 8, 16},
            std::nullopt, std::nullopt, std::array{type, type},
            std::array{NVVM::MMALayout::row, NVVM::MMALayout::col});
        for (int64_t i = 0; i < 4; ++i)
          sum[i] = LLVM::ExtractValueOp::create(b, product.getRes(), i);
      }
    }
  }
}
