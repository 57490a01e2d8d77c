//===- InnerProduct.cpp - products that add up in f32 -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/InnerProduct.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace mlir::moe;

InnerProduct::~InnerProduct() = default;

Type InnerProduct::getRowType(MLIRContext *context) const {
  return Float32Type::get(context);
}

namespace {

/// Rows of f32; a step is one number of each column, which is widened.
class WidenedProduct : public InnerProduct {
public:
  using InnerProduct::InnerProduct;

  Operand loadPanel(KernelBuilder &b, Value panels, Value offset,
                    int64_t lane) const override {
    Type element = cast<MemRefType>(panels.getType()).getElementType();
    Value vector = vector::LoadOp::create(b, getVectorType(element), panels,
                                          b.add(offset, lane));
    if (!element.isF32())
      vector = arith::ExtFOp::create(b, getVectorType(b.getF32Type()), vector);
    return {vector};
  }

  Operand loadRow(KernelBuilder &b, Value rows, Value offset,
                  int64_t count) const override {
    Operand row;
    for (int64_t i = 0; i < count; ++i) {
      Value entry = memref::LoadOp::create(b, rows, b.add(offset, i));
      row.push_back(
          vector::BroadcastOp::create(b, getVectorType(b.getF32Type()), entry));
    }
    return row;
  }

  Value multiply(KernelBuilder &b, const Operand &row, const Operand &panel,
                 Value sum) const override {
    // In the last step there may be less of the row.
    for (auto [left, right] : llvm::zip(row, panel))
      sum = vector::FMAOp::create(b, left, right, sum);
    return sum;
  }
};

/// Rows of f32 and pairs of bf16, which are the upper halves of f32.
class PairsOfBF16Product : public WidenedProduct {
public:
  using WidenedProduct::WidenedProduct;

  int64_t getDepth() const override { return 2; }

  /// Both numbers of a pair take a register for each vector of columns.
  int64_t getTileRows(int64_t panels) const override {
    if (target.lanes == kPanelColumns)
      return panels == 1 ? 6 : 5;
    return panels == 1 ? 5 : 2;
  }

  Operand loadPanel(KernelBuilder &b, Value panels, Value offset,
                    int64_t lane) const override {
    Type i32 = b.getI32Type();
    VectorType words = getVectorType(i32),
               floats = getVectorType(b.getF32Type());
    Value pairs = vector::LoadOp::create(
        b, VectorType::get(2 * target.lanes, b.getBF16Type()), panels,
        b.add(offset, 2 * lane));
    pairs = vector::BitCastOp::create(b, words, pairs);
    auto splat = [&](int32_t value) -> Value {
      return arith::ConstantOp::create(
          b, DenseElementsAttr::get(words, b.getI32IntegerAttr(value)));
    };
    Value first = arith::ShLIOp::create(b, pairs, splat(16));
    Value second = arith::AndIOp::create(
        b, pairs, splat(static_cast<int32_t>(0xffff0000)));
    return {vector::BitCastOp::create(b, floats, first),
            vector::BitCastOp::create(b, floats, second)};
  }
};

/// Pairs of bf16 on both sides, by the instruction vdpbf16ps: both products are
/// added to the sum in f32.
class DotOfBF16Product : public InnerProduct {
public:
  using InnerProduct::InnerProduct;

  Type getRowType(MLIRContext *context) const override {
    return BFloat16Type::get(context);
  }

  int64_t getDepth() const override { return 2; }

  Operand loadPanel(KernelBuilder &b, Value panels, Value offset,
                    int64_t lane) const override {
    return {vector::LoadOp::create(b, getPairsType(b), panels,
                                   b.add(offset, 2 * lane))};
  }

  Operand loadRow(KernelBuilder &b, Value rows, Value offset,
                  int64_t count) const override {
    auto pair = VectorType::get(2, b.getBF16Type());
    Value entries;
    if (count == 2) {
      entries = vector::LoadOp::create(b, pair, rows, offset);
    } else {
      Value zeros = arith::ConstantOp::create(b, b.getZeroAttr(pair));
      entries = vector::InsertOp::create(
          b, memref::LoadOp::create(b, rows, offset), zeros, 0);
    }
    Value word = vector::ExtractOp::create(
        b,
        vector::BitCastOp::create(b, VectorType::get(1, b.getI32Type()),
                                  entries),
        0);
    Value words =
        vector::BroadcastOp::create(b, getVectorType(b.getI32Type()), word);
    return {vector::BitCastOp::create(b, getPairsType(b), words)};
  }

  Value multiply(KernelBuilder &b, const Operand &row, const Operand &panel,
                 Value sum) const override {
    return LLVM::CallIntrinsicOp::create(
               b, sum.getType(),
               b.getStringAttr("llvm.x86.avx512bf16.dpbf16ps.512"),
               ValueRange{sum, row.front(), panel.front()})
        .getResult(0);
  }

private:
  VectorType getPairsType(KernelBuilder &b) const {
    return VectorType::get(2 * target.lanes, b.getBF16Type());
  }
};

} // namespace

std::unique_ptr<InnerProduct> InnerProduct::get(const TileTarget &target,
                                                Type rows, Type panels) {
  if (panels.isF32() || panels.isF16())
    return std::make_unique<WidenedProduct>(target);
  if (panels.isBF16() && rows.isBF16() && target.hasBF16Pairs)
    return std::make_unique<DotOfBF16Product>(target);
  if (panels.isBF16())
    return std::make_unique<PairsOfBF16Product>(target);
  return nullptr;
}
