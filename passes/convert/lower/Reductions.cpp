//===- Reductions.cpp - lowering of reductions ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Lowering.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

using Function = function_ref<Value(TensorBuilder &, Value)>;

Type getElement(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getElementType();
}

/// The dimensions that a reduction runs over.
template <typename Op>
FailureOr<SmallVector<int64_t>> getReducedDims(Op op, Lowering &l) {
  int64_t rank = Lowering::getType(op.getData()).getRank();
  SmallVector<int64_t> given, dims;
  if (Lowering::has(op.getAxes())) {
    FailureOr<SmallVector<int64_t>> axes = l.getConstants(op.getAxes(), "axes");
    if (failed(axes))
      return failure();
    given = *axes;
  }
  if (given.empty() && !op.getNoopWithEmptyAxes())
    return llvm::to_vector(llvm::seq<int64_t>(0, rank));
  for (int64_t axis : given) {
    FailureOr<int64_t> dim = l.getAxis(axis, rank);
    if (failed(dim))
      return failure();
    if (rank > 0)
      dims.push_back(*dim);
  }
  return dims;
}

Value mapOne(TensorBuilder &t, Value tensor, Function function) {
  return t.map(tensor, getElement(tensor),
               [&](TensorBuilder &inner, ValueRange arguments) {
                 return function(inner, arguments[0]);
               });
}

Value convertAll(TensorBuilder &t, Value tensor, Type element,
                 bool isUnsigned) {
  if (getElement(tensor) == element)
    return tensor;
  return t.map(
      tensor, element, [&](TensorBuilder &inner, ValueRange arguments) {
        return inner.convert(arguments[0], element, isUnsigned, isUnsigned);
      });
}

/// Applies `before` to each element, reduces, applies `after`. Functions and
/// sums are computed in f32 or wider; with `real`, integers are in f64.
template <typename Op>
LogicalResult lowerReduction(Op op, Lowering &l, Reduction kind,
                             Function before = nullptr,
                             Function after = nullptr, bool real = false) {
  FailureOr<SmallVector<int64_t>> dims = getReducedDims(op, l);
  if (failed(dims))
    return failure();
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  Type element = getElement(data);
  bool isUnsigned = Lowering::isUnsigned(op.getData()) || element.isInteger(1);
  Type wide = real && !isa<FloatType>(element) ? t.builder.getF64Type()
                                               : getAccumulator(element);
  bool isExact = kind == Reduction::Max || kind == Reduction::Min;
  if (!isExact)
    data = convertAll(t, data, wide, isUnsigned);
  if (before)
    data = mapOne(t, data, before);
  Value result = t.reduce(data, *dims, kind, op.getKeepdims(), isUnsigned);
  if (after)
    result = mapOne(t, result, after);
  l.set(op.getReduced(), convertAll(t, result, element, isUnsigned));
  return success();
}

LogicalResult lowerReduceSum(onnx::ReduceSumOp op, Lowering &l) {
  return lowerReduction(op, l, Reduction::Sum);
}

LogicalResult lowerReduceProd(onnx::ReduceProdOp op, Lowering &l) {
  return lowerReduction(op, l, Reduction::Product);
}

LogicalResult lowerReduceMax(onnx::ReduceMaxOp op, Lowering &l) {
  return lowerReduction(op, l, Reduction::Max);
}

LogicalResult lowerReduceMin(onnx::ReduceMinOp op, Lowering &l) {
  return lowerReduction(op, l, Reduction::Min);
}

LogicalResult lowerReduceMean(onnx::ReduceMeanOp op, Lowering &l) {
  FailureOr<SmallVector<int64_t>> dims = getReducedDims(op, l);
  if (failed(dims))
    return failure();
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  OpFoldResult count = t.builder.getIndexAttr(1);
  for (int64_t dim : *dims)
    count = t.mulSizes(count, t.size(data, dim));
  Value divisor = t.convert(t.index(count), getAccumulator(getElement(data)));
  bool isUnsigned = Lowering::isUnsigned(op.getData());
  return lowerReduction(op, l, Reduction::Sum, nullptr,
                        [&](TensorBuilder &inner, Value sum) {
                          return inner.div(sum, divisor, isUnsigned);
                        });
}

Value square(TensorBuilder &t, Value x) { return t.mul(x, x); }

Value squareRoot(TensorBuilder &t, Value x) {
  return math::SqrtOp::create(t.builder, t.loc, x);
}

Value logarithm(TensorBuilder &t, Value x) {
  return math::LogOp::create(t.builder, t.loc, x);
}

LogicalResult lowerReduceL1(onnx::ReduceL1Op op, Lowering &l) {
  if (Lowering::isUnsigned(op.getData()))
    return lowerReduction(op, l, Reduction::Sum);
  return lowerReduction(op, l, Reduction::Sum,
                        [](TensorBuilder &t, Value x) -> Value {
                          if (isa<FloatType>(x.getType()))
                            return math::AbsFOp::create(t.builder, t.loc, x);
                          return math::AbsIOp::create(t.builder, t.loc, x);
                        });
}

LogicalResult lowerReduceL2(onnx::ReduceL2Op op, Lowering &l) {
  return lowerReduction(op, l, Reduction::Sum, square, squareRoot,
                        /*real=*/true);
}

LogicalResult lowerReduceSumSquare(onnx::ReduceSumSquareOp op, Lowering &l) {
  return lowerReduction(op, l, Reduction::Sum, square);
}

LogicalResult lowerReduceLogSum(onnx::ReduceLogSumOp op, Lowering &l) {
  return lowerReduction(op, l, Reduction::Sum, nullptr, logarithm,
                        /*real=*/true);
}

/// log(sum(exp(x))) = m + log(sum(exp(x - m))), with m the greatest element;
/// 0 takes the place of an m that is not finite.
LogicalResult lowerReduceLogSumExp(onnx::ReduceLogSumExpOp op, Lowering &l) {
  FailureOr<SmallVector<int64_t>> dims = getReducedDims(op, l);
  if (failed(dims))
    return failure();
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  Type element = getElement(data);
  if (!isa<FloatType>(element))
    return l.error() << "expected floating-point elements, got " << element;
  Type wide = getAccumulator(element);
  Value numbers = t.cast(data, wide);
  Value greatest = t.reduce(numbers, *dims, Reduction::Max, /*keep=*/true);
  greatest = mapOne(t, greatest, [](TensorBuilder &inner, Value x) {
    Value size = math::AbsFOp::create(inner.builder, inner.loc, x);
    Value isFinite =
        inner.compare(arith::CmpIPredicate::slt, arith::CmpFPredicate::OLT,
                      size, inner.extreme(x.getType(), /*high=*/true));
    return inner.select(isFinite, x, inner.constant(x.getType(), 0));
  });
  Value powers =
      t.map({numbers, greatest}, wide,
            [](TensorBuilder &inner, ValueRange arguments) -> Value {
              return math::ExpOp::create(inner.builder, inner.loc,
                                         inner.sub(arguments[0], arguments[1]));
            });
  Value sum = t.reduce(powers, *dims, Reduction::Sum, /*keep=*/true);
  Value result = t.map(
      {sum, greatest}, element,
      [&](TensorBuilder &inner, ValueRange arguments) {
        return inner.convert(
            inner.add(logarithm(inner, arguments[0]), arguments[1]), element);
      });
  if (!op.getKeepdims()) {
    Sizes extents = t.sizes(data), kept;
    for (auto [dim, extent] : llvm::enumerate(extents))
      if (!llvm::is_contained(*dims, static_cast<int64_t>(dim)))
        kept.push_back(extent);
    result = t.reshape(result, kept);
  }
  l.set(op.getReduced(), result);
  return success();
}

} // namespace

void moe::addReductionLowerings(LoweringTable &table) {
  table.add(lowerReduceSum);
  table.add(lowerReduceProd);
  table.add(lowerReduceMax);
  table.add(lowerReduceMin);
  table.add(lowerReduceMean);
  table.add(lowerReduceL1);
  table.add(lowerReduceL2);
  table.add(lowerReduceSumSquare);
  table.add(lowerReduceLogSum);
  table.add(lowerReduceLogSumExp);
}
