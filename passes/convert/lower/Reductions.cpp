//===- Reductions.cpp - lowering of reductions ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/RuntimeAxes.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

using Function = function_ref<Value(TensorBuilder &, Value)>;

Type getElement(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getElementType();
}

/// The dimensions that a reduction runs over, constants if they are known.
template <typename Op> FailureOr<Sizes> getReducedAxes(Op op, Lowering &l) {
  int64_t rank = Lowering::getType(op.getData()).getRank();
  FailureOr<Sizes> axes = Sizes();
  if (Lowering::has(op.getAxes()))
    axes = readAxes(l, op.getAxes(), rank);
  if (failed(axes))
    return failure();
  if (axes->empty() && !op.getNoopWithEmptyAxes())
    for (int64_t i = 0; i < rank; ++i)
      axes->push_back(l.tensors.builder.getIndexAttr(i));
  if (rank == 0)
    axes->clear();
  return axes;
}

SmallVector<int64_t> getKnown(ArrayRef<OpFoldResult> axes) {
  return llvm::map_to_vector(
      axes, [](OpFoldResult axis) { return *getConstantIntValue(axis); });
}

/// Reduces one dimension, known at run time only, which stays with extent 1.
Value reduceAt(TensorBuilder &t, Value tensor, OpFoldResult axis,
               Reduction kind, bool isUnsigned) {
  Sizes sizes = t.sizes(tensor);
  Value view = t.reshape(tensor, splitAt(t, sizes, axis));
  Value reduced = t.reduce(view, 1, kind, /*keep=*/true, isUnsigned);
  replaceAt(t, sizes, axis, t.builder.getIndexAttr(1));
  return t.reshape(reduced, sizes);
}

/// Reduces `axes`; `rank` is that of the result if they do not stay.
Value reduceAxes(TensorBuilder &t, Value tensor, ArrayRef<OpFoldResult> axes,
                 Reduction kind, bool keep, int64_t rank, bool isUnsigned) {
  if (areKnown(axes))
    return t.reduce(tensor, getKnown(axes), kind, keep, isUnsigned);
  Sizes kept = dropAxes(t, t.sizes(tensor), axes, rank);
  for (OpFoldResult axis : axes)
    tensor = reduceAt(t, tensor, axis, kind, isUnsigned);
  return keep ? tensor : t.reshape(tensor, kept);
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
  FailureOr<Sizes> axes = getReducedAxes(op, l);
  if (failed(axes))
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
  Value result =
      reduceAxes(t, data, *axes, kind, op.getKeepdims(),
                 Lowering::getType(op.getReduced()).getRank(), isUnsigned);
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
  FailureOr<Sizes> axes = getReducedAxes(op, l);
  if (failed(axes))
    return failure();
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  OpFoldResult count = t.builder.getIndexAttr(1);
  for (OpFoldResult axis : *axes)
    count = t.mulSizes(count, selectAt(t, t.sizes(data), axis));
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
  FailureOr<Sizes> axes = getReducedAxes(op, l);
  if (failed(axes))
    return failure();
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  Type element = getElement(data);
  if (!isa<FloatType>(element))
    return l.error() << "expected floating-point elements, got " << element;
  Type wide = getAccumulator(element);
  int64_t rank = Lowering::getType(data).getRank();
  int64_t resultRank = Lowering::getType(op.getReduced()).getRank();
  Value numbers = t.cast(data, wide);
  Value greatest = reduceAxes(t, numbers, *axes, Reduction::Max, /*keep=*/true,
                              resultRank, /*isUnsigned=*/false);
  greatest = mapOne(t, greatest, [](TensorBuilder &inner, Value x) {
    Value size = math::AbsFOp::create(inner.builder, inner.loc, x);
    Value isFinite =
        inner.compare(arith::CmpIPredicate::slt, arith::CmpFPredicate::OLT,
                      size, inner.extreme(x.getType(), /*high=*/true));
    return inner.select(isFinite, x, inner.constant(x.getType(), 0));
  });
  SmallVector<int64_t> uncertain;
  if (!areKnown(*axes))
    uncertain = llvm::to_vector(llvm::seq<int64_t>(0, rank));
  Value powers = t.map(
      {numbers, greatest}, wide,
      [](TensorBuilder &inner, ValueRange arguments) -> Value {
        return math::ExpOp::create(inner.builder, inner.loc,
                                   inner.sub(arguments[0], arguments[1]));
      },
      uncertain);
  Value sum = reduceAxes(t, powers, *axes, Reduction::Sum, /*keep=*/true,
                         resultRank, /*isUnsigned=*/false);
  Value result = t.map(
      {sum, greatest}, element,
      [&](TensorBuilder &inner, ValueRange arguments) {
        return inner.convert(
            inner.add(logarithm(inner, arguments[0]), arguments[1]), element);
      });
  if (!op.getKeepdims())
    result = t.reshape(result, dropAxes(t, t.sizes(data), *axes, resultRank));
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
