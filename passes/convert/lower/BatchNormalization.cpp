//===- BatchNormalization.cpp - lowering of BatchNormalization and LRN ----===//
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

Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

/// A vector over the channels, dimension 1 of a tensor of the given rank, in
/// the type `wide`.
Value alongChannels(TensorBuilder &t, Value vector, int64_t rank, Type wide) {
  Sizes sizes(rank, t.builder.getIndexAttr(1));
  sizes[1] = t.size(vector, 0);
  return t.reshape(t.cast(vector, wide), sizes);
}

/// The mean of `x` over all dimensions but that of the channels.
Value meanOfChannels(TensorBuilder &t, Value x) {
  Type type = getElement(x);
  SmallVector<int64_t> dims;
  Sizes reduced;
  for (int64_t i = 0; i < Lowering::getType(x).getRank(); ++i)
    if (i != 1) {
      dims.push_back(i);
      reduced.push_back(t.size(x, i));
    }
  Value count = t.convert(t.index(t.product(reduced)), type);
  return t.map(t.reduce(x, dims, Reduction::Sum, /*keep=*/true), type,
               [&](TensorBuilder &inner, ValueRange v) {
                 return inner.div(v[0], count);
               });
}

/// `old * momentum + now * (1 - momentum)`, a vector of the type of `result`.
void setRunning(Lowering &l, Value result, Value old, Value now,
                double momentum) {
  if (!Lowering::has(result))
    return;
  TensorBuilder &t = l.tensors;
  Type type = getElement(now);
  Value mixed =
      t.map({old, now}, type, [&](TensorBuilder &inner, ValueRange v) {
        return inner.add(inner.mul(v[0], inner.constant(type, momentum)),
                         inner.mul(v[1], inner.constant(type, 1 - momentum)));
      });
  l.set(result,
        t.cast(t.reshape(mixed, {t.size(mixed, 1)}), getElement(result)));
}

LogicalResult lowerBatchNormalization(onnx::BatchNormalizationOp op,
                                      Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  int64_t rank = Lowering::getType(input).getRank();
  if (rank < 2)
    return l.error() << "expected an input of rank 2 or higher, got " << rank;
  Type element = getElement(input), wide = getAccumulator(element);
  auto spread = [&](Value vector) {
    return alongChannels(t, l.get(vector), rank, wide);
  };
  Value x = t.cast(input, wide);
  Value mean = spread(op.getInputMean()), variance = spread(op.getInputVar());
  if (op.getTrainingMode()) {
    Value ownMean = meanOfChannels(t, x);
    Value squares =
        t.map({x, ownMean}, wide, [](TensorBuilder &inner, ValueRange v) {
          Value distance = inner.sub(v[0], v[1]);
          return inner.mul(distance, distance);
        });
    Value ownVariance = meanOfChannels(t, squares);
    double momentum = op.getMomentum().convertToDouble();
    setRunning(l, op.getRunningMean(), mean, ownMean, momentum);
    setRunning(l, op.getRunningVar(), variance, ownVariance, momentum);
    mean = ownMean;
    variance = ownVariance;
  } else if (Lowering::has(op.getRunningMean()) ||
             Lowering::has(op.getRunningVar())) {
    return l.error() << "expected 'training_mode' with running results";
  }
  double epsilon = op.getEpsilon().convertToDouble();
  l.set(op.getY(),
        t.map({x, mean, variance, spread(op.getScale()), spread(op.getB())},
              element, [&](TensorBuilder &inner, ValueRange v) {
                Value shifted = inner.add(v[2], inner.constant(wide, epsilon));
                Value root =
                    math::SqrtOp::create(inner.builder, inner.loc, shifted);
                Value normal = inner.div(inner.sub(v[0], v[1]), root);
                return inner.convert(inner.add(inner.mul(normal, v[3]), v[4]),
                                     element);
              }));
  return success();
}

/// Sums over windows of `size` channels around each channel.
Value sumNeighbours(TensorBuilder &t, Value x, int64_t size) {
  Type type = getElement(x);
  int64_t rank = Lowering::getType(x).getRank();
  Sizes own = t.sizes(x), padded = own;
  Sizes offsets(rank, t.builder.getIndexAttr(0));
  Sizes strides(rank, t.builder.getIndexAttr(1));
  padded[1] = t.addSizes(own[1], t.builder.getIndexAttr(size - 1));
  offsets[1] = t.builder.getIndexAttr((size - 1) / 2);
  Value zero = t.constant(type, 0);
  Value wider = tensor::InsertSliceOp::create(
      t.builder, t.loc, x, t.fill(zero, padded), offsets, own, strides);
  // The last loop runs over the window; its extent comes from a tensor without
  // data.
  SmallVector<AffineExpr> place;
  for (int64_t i = 0; i < rank; ++i)
    place.push_back(t.builder.getAffineDimExpr(i));
  AffineMap result = AffineMap::get(rank + 1, 0, place, t.builder.getContext());
  place[1] = place[1] + t.builder.getAffineDimExpr(rank);
  SmallVector<AffineMap> maps = {
      AffineMap::get(rank + 1, 0, place, t.builder.getContext()),
      AffineMap::get(rank + 1, 0, t.builder.getAffineDimExpr(rank),
                     t.builder.getContext()),
      result};
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  iterators.push_back(utils::IteratorType::reduction);
  Value window = t.empty({t.builder.getIndexAttr(size)}, type);
  Value init = t.fill(zero, own);
  return linalg::GenericOp::create(
             t.builder, t.loc, init.getType(), ValueRange{wider, window}, init,
             maps, iterators,
             [](OpBuilder &nested, Location loc, ValueRange v) {
               Value sum = TensorBuilder(nested, loc).add(v[2], v[0]);
               linalg::YieldOp::create(nested, loc, sum);
             })
      .getResult(0);
}

/// `x / (bias + alpha / size * sum of squares) ^ beta`
LogicalResult lowerLRN(onnx::LRNOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  if (Lowering::getType(input).getRank() < 2 || op.getSize() < 1)
    return l.error() << "expected an input of rank 2 or higher and a positive "
                        "'size', got "
                     << Lowering::getType(op.getX()) << " and "
                     << static_cast<int64_t>(op.getSize());
  Type element = getElement(input), wide = getAccumulator(element);
  Value squares = t.map(input, wide, [&](TensorBuilder &inner, ValueRange v) {
    Value x = inner.convert(v[0], wide);
    return inner.mul(x, x);
  });
  int64_t size = op.getSize();
  double alpha = op.getAlpha().convertToDouble() / static_cast<double>(size);
  double beta = op.getBeta().convertToDouble();
  double bias = op.getBias().convertToDouble();
  l.set(op.getY(),
        t.map({input, sumNeighbours(t, squares, size)}, element,
              [&](TensorBuilder &inner, ValueRange v) {
                Value base =
                    inner.add(inner.constant(wide, bias),
                              inner.mul(inner.constant(wide, alpha), v[1]));
                Value power = math::PowFOp::create(
                    inner.builder, inner.loc, base, inner.constant(wide, beta));
                return inner.convert(
                    inner.div(inner.convert(v[0], wide), power), element);
              }));
  return success();
}

} // namespace

void moe::addBatchNormalizationLowerings(LoweringTable &table) {
  table.add(lowerBatchNormalization);
  table.add(lowerLRN);
}
