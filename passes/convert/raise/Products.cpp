//===- Products.cpp - sums of products --------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/Products.h"

#include "llvm/ADT/DenseMap.h"

using namespace mlir;
using namespace mlir::moe;

/// The axes of a product of matrices, with `inner` as the summed label.
static std::optional<Product> readMatMul(Tracer &tracer, onnx::MatMulOp op,
                                         const IndexedValue &indexed) {
  RankedTensorType a = getTensorType(op.getA()), b = getTensorType(op.getB());
  if (a.getRank() < 1 || b.getRank() < 1)
    return std::nullopt;
  int64_t extent = a.getShape().back();
  if (ShapedType::isDynamic(extent))
    extent = b.getDimSize(std::max<int64_t>(b.getRank() - 2, 0));
  int inner = tracer.addLabel(extent);
  Axis innerAxis = extent == 1 ? Axis() : tracer.getWhole(inner);
  ArrayRef<Axis> axes = indexed.axes;
  bool hasRows = a.getRank() > 1, hasColumns = b.getRank() > 1;
  Axis column = hasColumns ? axes.back() : Axis();
  axes = axes.drop_back(hasColumns);
  Axis row = hasRows ? axes.back() : Axis();
  axes = axes.drop_back(hasRows);
  // The leading dimensions broadcast.
  auto readBatch = [&](RankedTensorType type, IndexedValue &operand) {
    int64_t count = std::max<int64_t>(type.getRank() - 2, 0);
    for (int64_t i = 0; i < count; ++i)
      operand.axes.push_back(
          type.getDimSize(i) == 1 ? Axis() : axes[axes.size() - count + i]);
  };
  IndexedValue left{op.getA(), {}}, right{op.getB(), {}};
  readBatch(a, left);
  readBatch(b, right);
  if (hasRows)
    left.axes.push_back(row);
  left.axes.push_back(innerAxis);
  right.axes.push_back(innerAxis);
  if (hasColumns)
    right.axes.push_back(column);
  return Product{{left, right}, {inner}};
}

static std::optional<Product> readGemm(Tracer &tracer, onnx::GemmOp op,
                                       const IndexedValue &indexed,
                                       bool withoutAddend) {
  bool hasC = !withoutAddend && isPresent(op.getC()) &&
              !op.getBeta().isZero() && getNumber(op.getC()) != 0.0;
  if (hasC || !op.getAlpha().isExactlyValue(1.0))
    return std::nullopt;
  RankedTensorType a = getTensorType(op.getA());
  int64_t extent = a.getDimSize(op.getTransA() ? 0 : 1);
  int inner = tracer.addLabel(extent);
  Axis innerAxis = extent == 1 ? Axis() : tracer.getWhole(inner);
  IndexedValue left{op.getA(), {indexed.axes[0], innerAxis}};
  IndexedValue right{op.getB(), {innerAxis, indexed.axes[1]}};
  if (op.getTransA())
    std::swap(left.axes[0], left.axes[1]);
  if (op.getTransB())
    std::swap(right.axes[0], right.axes[1]);
  return Product{{left, right}, {inner}};
}

static std::optional<Product> readEinsum(Tracer &tracer, onnx::EinsumOp op,
                                         const IndexedValue &indexed) {
  std::string equation = op.getEquation().str();
  llvm::erase_if(equation, [](char c) { return c == ' '; });
  auto [left, right] = StringRef(equation).split("->");
  if (!StringRef(equation).contains("->") ||
      equation.find('.') != std::string::npos ||
      right.size() != indexed.axes.size())
    return std::nullopt;
  llvm::DenseMap<char, Axis> axes;
  for (auto [letter, axis] : llvm::zip_equal(right, indexed.axes))
    axes[letter] = axis;
  SmallVector<StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != op->getNumOperands())
    return std::nullopt;
  Product product;
  for (auto [term, operand] : llvm::zip_equal(terms, op->getOperands())) {
    RankedTensorType type = getTensorType(operand);
    if (static_cast<int64_t>(term.size()) != type.getRank())
      return std::nullopt;
    IndexedValue factor{operand, {}};
    for (auto [i, letter] : llvm::enumerate(term)) {
      if (term.count(letter) != 1)
        return std::nullopt;
      auto [known, isNew] = axes.try_emplace(letter);
      if (isNew) {
        int64_t extent = type.getDimSize(i);
        if (extent != 1) {
          int label = tracer.addLabel(extent);
          product.summed.push_back(label);
          known->second = tracer.getWhole(label);
        }
      }
      factor.axes.push_back(type.getDimSize(i) == 1 ? Axis() : known->second);
    }
    product.factors.push_back(std::move(factor));
  }
  return product;
}

static std::optional<Product> readReduceSum(Tracer &tracer,
                                            onnx::ReduceSumOp op,
                                            const IndexedValue &indexed) {
  auto axes =
      isPresent(op.getAxes()) ? getIntegers(op.getAxes()) : std::nullopt;
  if (!axes || axes->empty())
    return std::nullopt;
  RankedTensorType type = getTensorType(op.getData());
  int64_t rank = type.getRank();
  SmallVector<bool> isSummed(rank);
  for (int64_t axis : *axes)
    isSummed[axis < 0 ? axis + rank : axis] = true;
  Product product{{IndexedValue{op.getData(), {}}}, {}};
  size_t next = 0;
  for (int64_t i = 0; i < rank; ++i) {
    if (!isSummed[i]) {
      product.factors[0].axes.push_back(indexed.axes[next++]);
      continue;
    }
    next += op.getKeepdims() != 0;
    int label = tracer.addLabel(type.getDimSize(i));
    product.summed.push_back(label);
    product.factors[0].axes.push_back(
        type.getDimSize(i) == 1 ? Axis() : tracer.getWhole(label));
  }
  return product;
}

std::optional<Product> moe::getContraction(Tracer &tracer,
                                           const IndexedValue &indexed,
                                           bool withoutAddend) {
  Operation *op = indexed.value.getDefiningOp();
  if (auto matmul = dyn_cast_or_null<onnx::MatMulOp>(op))
    return readMatMul(tracer, matmul, indexed);
  if (auto gemm = dyn_cast_or_null<onnx::GemmOp>(op))
    return readGemm(tracer, gemm, indexed, withoutAddend);
  if (auto einsum = dyn_cast_or_null<onnx::EinsumOp>(op))
    return readEinsum(tracer, einsum, indexed);
  return std::nullopt;
}

std::optional<Product> moe::getProduct(Tracer &tracer,
                                       const IndexedValue &indexed) {
  Operation *op = indexed.value.getDefiningOp();
  if (auto sum = dyn_cast_or_null<onnx::ReduceSumOp>(op))
    return readReduceSum(tracer, sum, indexed);
  if (auto mul = dyn_cast_or_null<onnx::MulOp>(op)) {
    std::optional<IndexedValue> a = tracer.getOperand(mul.getA(), indexed);
    std::optional<IndexedValue> b = tracer.getOperand(mul.getB(), indexed);
    if (!a || !b)
      return std::nullopt;
    return Product{{*a, *b}, {}};
  }
  return getContraction(tracer, indexed);
}
