//===- Contractions.cpp - lowering of products of matrices ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Lowering.h"
#include "passes/convert/raise/WeightView.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::moe;

Value moe::permute(TensorBuilder &t, Value tensor,
                   ArrayRef<int64_t> permutation) {
  if (isIdentityPermutation(permutation))
    return tensor;
  // A transposition of a weight changes only its view; nothing is moved in a
  // run.
  if (std::optional<WeightView> weight = WeightView::get(tensor))
    if (std::optional<WeightView> turned = weight->transpose(permutation))
      return turned->build(t.builder, t.loc);
  return t.transpose(tensor, permutation);
}

namespace {

/// The last two dimensions swapped.
Value transposeMatrix(TensorBuilder &t, Value tensor) {
  int64_t rank = Lowering::getType(tensor).getRank();
  auto permutation = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  std::swap(permutation[rank - 2], permutation[rank - 1]);
  return permute(t, tensor, permutation);
}

/// The first dimension moved to the place before the last.
Value transposeBatch(TensorBuilder &t, Value tensor) {
  int64_t rank = Lowering::getType(tensor).getRank();
  SmallVector<int64_t> permutation;
  for (int64_t i = 1; i < rank - 1; ++i)
    permutation.push_back(i);
  permutation.push_back(0);
  permutation.push_back(rank - 1);
  return permute(t, tensor, permutation);
}

/// `x * factor`, computed in f32 or wider.
Value scale(TensorBuilder &t, Value tensor, const APFloat &factor) {
  if (factor.isExactlyValue(1.0))
    return tensor;
  Type element = Lowering::getType(tensor).getElementType();
  return t.map(tensor, element, [&](TensorBuilder &inner, ValueRange v) {
    Type wide = getAccumulator(element);
    Value product = inner.mul(inner.convert(v[0], wide),
                              inner.constant(wide, factor.convertToDouble()));
    return inner.convert(product, element);
  });
}

/// Checks that the extents summed over are equal.
LogicalResult checkInner(Lowering &l, Value a, int64_t dimA, Value b,
                         int64_t dimB) {
  int64_t left = Lowering::getType(a).getDimSize(dimA);
  int64_t right = Lowering::getType(b).getDimSize(dimB);
  if (ShapedType::isDynamic(left) || ShapedType::isDynamic(right))
    l.tensors.checkEqual(l.tensors.size(a, dimA), l.tensors.size(b, dimB),
                         "expected matrices with equal inner extents");
  else if (left != right)
    return l.error() << "expected matrices with equal inner extents, got "
                     << left << " and " << right;
  return success();
}

LogicalResult lowerProduct(Lowering &l, Value a, Value b, Value result,
                           const APFloat &alpha) {
  TensorBuilder &t = l.tensors;
  bool isRow = Lowering::getType(a).getRank() == 1;
  bool isColumn = Lowering::getType(b).getRank() == 1;
  if (Lowering::getType(a).getRank() == 0 ||
      Lowering::getType(b).getRank() == 0)
    return l.error() << "expected operands of rank 1 or higher, got a scalar";
  if (isRow)
    a = t.insertUnit(a, 0);
  if (isColumn)
    b = t.insertUnit(b, 1);
  int64_t rankA = Lowering::getType(a).getRank();
  int64_t rankB = Lowering::getType(b).getRank();
  if (failed(checkInner(l, a, rankA - 1, b, rankB - 2)))
    return failure();
  Value product = scale(t, t.matmul(a, b), alpha);
  if (isColumn)
    product = t.dropUnit(product, Lowering::getType(product).getRank() - 1);
  if (isRow)
    product = t.dropUnit(product, Lowering::getType(product).getRank() -
                                      (isColumn ? 1 : 2));
  l.set(result, product);
  return success();
}

LogicalResult lowerMatMul(onnx::MatMulOp op, Lowering &l) {
  return lowerProduct(l, l.get(op.getA()), l.get(op.getB()), op.getY(),
                      APFloat(1.0f));
}

LogicalResult lowerFusedMatMul(onnx::MicrosoftFusedMatMulOp op, Lowering &l) {
  auto prepare = [&](Value value, bool transposed, bool batchTransposed) {
    if (Lowering::getType(value).getRank() < 2)
      return value;
    if (batchTransposed && Lowering::getType(value).getRank() > 2)
      value = transposeBatch(l.tensors, value);
    return transposed ? transposeMatrix(l.tensors, value) : value;
  };
  return lowerProduct(
      l, prepare(l.get(op.getA()), op.getTransA(), op.getTransBatchA()),
      prepare(l.get(op.getB()), op.getTransB(), op.getTransBatchB()), op.getY(),
      op.getAlpha());
}

LogicalResult lowerGemm(onnx::GemmOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value a = l.get(op.getA()), b = l.get(op.getB());
  if (Lowering::getType(a).getRank() != 2 ||
      Lowering::getType(b).getRank() != 2)
    return l.error() << "expected operands of rank 2, got "
                     << Lowering::getType(op.getA()) << " and "
                     << Lowering::getType(op.getB());
  if (op.getTransA())
    a = transposeMatrix(t, a);
  if (op.getTransB())
    b = transposeMatrix(t, b);
  if (failed(checkInner(l, a, 1, b, 0)))
    return failure();
  Value product = scale(t, t.matmul(a, b), op.getAlpha());
  if (Lowering::has(op.getC())) {
    Type element = Lowering::getType(product).getElementType();
    Value c = scale(t, l.get(op.getC()), op.getBeta());
    product = t.map(
        {product, c}, element,
        [](TensorBuilder &inner, ValueRange v) {
          return inner.add(v[0], v[1]);
        },
        l.getUncertainDims({op.getY(), op.getC()}));
  }
  l.set(op.getY(), product);
  return success();
}

} // namespace

void moe::addContractionLowerings(LoweringTable &table) {
  table.add(lowerMatMul);
  table.add(lowerFusedMatMul);
  table.add(lowerGemm);
  addEinsumLowering(table);
}
