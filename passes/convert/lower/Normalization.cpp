//===- Normalization.cpp - lowering of softmax and normalisations ---------===//
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

SmallVector<int64_t> getDimsFrom(int64_t first, int64_t rank) {
  return llvm::to_vector(llvm::seq<int64_t>(first, rank));
}

LogicalResult lowerSoftmax(onnx::SoftmaxOp op, Lowering &l) {
  Value input = l.get(op.getInput());
  FailureOr<int64_t> axis =
      l.getAxis(op.getAxis(), Lowering::getType(input).getRank());
  if (failed(axis))
    return failure();
  l.set(op.getOutput(), l.tensors.softmax(input, *axis));
  return success();
}

LogicalResult lowerLogSoftmax(onnx::LogSoftmaxOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  FailureOr<int64_t> axis =
      l.getAxis(op.getAxis(), Lowering::getType(input).getRank());
  if (failed(axis))
    return failure();
  Type wide = getAccumulator(getElement(input));
  Value x = t.cast(input, wide);
  Value greatest = t.reduce(x, *axis, Reduction::Max, /*keep=*/true);
  Value shifted =
      t.map({x, greatest}, wide, [](TensorBuilder &inner, ValueRange v) {
        return inner.sub(v[0], v[1]);
      });
  Value powers =
      t.map(shifted, wide, [](TensorBuilder &inner, ValueRange v) -> Value {
        return math::ExpOp::create(inner.builder, inner.loc, v[0]);
      });
  Value sum = t.reduce(powers, *axis, Reduction::Sum, /*keep=*/true);
  Value result =
      t.map({shifted, sum}, wide, [](TensorBuilder &inner, ValueRange v) {
        Value log = math::LogOp::create(inner.builder, inner.loc, v[1]);
        return inner.sub(v[0], log);
      });
  l.set(op.getOutput(), t.cast(result, getElement(input)));
  return success();
}

/// What a normalisation computes, in f32 or wider.
struct Normalized {
  Value value;
  Value mean; ///< Null where the mean is not subtracted.
  Value inverseDeviation;
};

/// `(x - mean) / sqrt(mean((x - mean)^2) + epsilon)` over `dims`.
Normalized normalize(TensorBuilder &t, Value x, ArrayRef<int64_t> dims,
                     double epsilon, bool subtractMean) {
  Type wide = getAccumulator(getElement(x));
  x = t.cast(x, wide);
  Sizes reduced;
  for (int64_t dim : dims)
    reduced.push_back(t.size(x, dim));
  Value count = t.convert(t.index(t.product(reduced)), wide);
  auto divideByCount = [&](Value sum) {
    return t.map(sum, wide, [&](TensorBuilder &inner, ValueRange v) {
      return inner.div(v[0], count);
    });
  };
  Normalized result;
  if (subtractMean) {
    result.mean =
        divideByCount(t.reduce(x, dims, Reduction::Sum, /*keep=*/true));
    x = t.map({x, result.mean}, wide, [](TensorBuilder &inner, ValueRange v) {
      return inner.sub(v[0], v[1]);
    });
  }
  Value squares = t.map(x, wide, [](TensorBuilder &inner, ValueRange v) {
    return inner.mul(v[0], v[0]);
  });
  Value sum = t.reduce(squares, dims, Reduction::Sum, /*keep=*/true);
  result.inverseDeviation =
      t.map(sum, wide, [&](TensorBuilder &inner, ValueRange v) {
        Value shifted =
            inner.add(inner.div(v[0], count), inner.constant(wide, epsilon));
        Value root = math::SqrtOp::create(inner.builder, inner.loc, shifted);
        return inner.div(inner.constant(wide, 1.0), root);
      });
  result.value = t.map(
      {x, result.inverseDeviation}, wide,
      [](TensorBuilder &inner, ValueRange v) { return inner.mul(v[0], v[1]); });
  return result;
}

/// `x * scale + bias`, rounded to `element`; a null bias is left out.
Value scaleAndShift(TensorBuilder &t, Value x, Value scale, Value bias,
                    Type element) {
  SmallVector<Value> inputs = {x, scale};
  if (bias)
    inputs.push_back(bias);
  return t.map(inputs, element, [&](TensorBuilder &inner, ValueRange v) {
    Type wide = v[0].getType();
    Value result = inner.mul(v[0], inner.convert(v[1], wide));
    if (v.size() == 3)
      result = inner.add(result, inner.convert(v[2], wide));
    return inner.convert(result, element);
  });
}

/// States an optional result in the element type that it has.
void setOptional(Lowering &l, Value result, Value lowered) {
  if (Lowering::has(result) && lowered)
    l.set(result, l.tensors.cast(lowered, getElement(result)));
}

/// Normalisation of the dimensions from `axis`, with its optional results.
LogicalResult lowerLayerNorm(Lowering &l, Value input, Value scale, Value bias,
                             int64_t axis, const APFloat &epsilon,
                             bool subtractMean, Value result, Value mean,
                             Value inverseDeviation) {
  int64_t rank = Lowering::getType(input).getRank();
  FailureOr<int64_t> first = l.getAxis(axis, rank);
  if (failed(first))
    return failure();
  Normalized normalized = normalize(l.tensors, input, getDimsFrom(*first, rank),
                                    epsilon.convertToDouble(), subtractMean);
  l.set(result, scaleAndShift(l.tensors, normalized.value, scale, bias,
                              getElement(result)));
  setOptional(l, mean, normalized.mean);
  setOptional(l, inverseDeviation, normalized.inverseDeviation);
  return success();
}

LogicalResult lowerLayerNormalization(onnx::LayerNormalizationOp op,
                                      Lowering &l) {
  return lowerLayerNorm(l, l.get(op.getX()), l.get(op.getScale()),
                        l.get(op.getB()), op.getAxis(), op.getEpsilon(),
                        /*subtractMean=*/true, op.getY(), op.getMean(),
                        op.getInvStdDev());
}

LogicalResult lowerRMSNormalization(onnx::RMSNormalizationOp op, Lowering &l) {
  return lowerLayerNorm(l, l.get(op.getX()), l.get(op.getScale()), Value(),
                        op.getAxis(), op.getEpsilon(), /*subtractMean=*/false,
                        op.getY(), Value(), Value());
}

LogicalResult
lowerSimplifiedLayerNormalization(onnx::SimplifiedLayerNormalizationOp op,
                                  Lowering &l) {
  return lowerLayerNorm(l, l.get(op.getX()), l.get(op.getScale()), Value(),
                        op.getAxis(), op.getEpsilon(), /*subtractMean=*/false,
                        op.getY(), Value(), op.getInvStdVar());
}

/// Normalises `input + skip + bias`, which is a result too.
template <typename Op>
LogicalResult lowerSkip(Op op, Lowering &l, Value beta, bool subtractMean) {
  TensorBuilder &t = l.tensors;
  Type element = getElement(op.getInput());
  SmallVector<Value> terms = {l.get(op.getInput()), l.get(op.getSkip())};
  if (Value bias = l.get(op.getBias()))
    terms.push_back(bias);
  Value sum = t.map(
      terms, element,
      [&](TensorBuilder &inner, ValueRange v) {
        Type wide = getAccumulator(element);
        Value total = inner.convert(v[0], wide);
        for (Value term : v.drop_front())
          total = inner.add(total, inner.convert(term, wide));
        return inner.convert(total, element);
      },
      l.getUncertainDims({op.getInput(), op.getSkip()}));
  if (failed(lowerLayerNorm(l, sum, l.get(op.getGamma()), beta, -1,
                            op.getEpsilon(), subtractMean, op.getOutput(),
                            op.getMean(), op.getInvStdVar())))
    return failure();
  // ONNX Runtime does not compute the mean of the simplified form either.
  if (!subtractMean && Lowering::has(op.getMean()) && !op.getMean().use_empty())
    return l.error() << "expected no use of the result 'mean'";
  if (Lowering::has(op.getInputSkipBiasSum()))
    l.set(op.getInputSkipBiasSum(), sum);
  return success();
}

LogicalResult lowerSkipSimplifiedLayerNormalization(
    onnx::MicrosoftSkipSimplifiedLayerNormalizationOp op, Lowering &l) {
  return lowerSkip(op, l, Value(), /*subtractMean=*/false);
}

LogicalResult
lowerSkipLayerNormalization(onnx::MicrosoftSkipLayerNormalizationOp op,
                            Lowering &l) {
  return lowerSkip(op, l, l.get(op.getBeta()), /*subtractMean=*/true);
}

/// A vector over the channels, dimension 1 of a tensor of the given rank.
Value alongChannels(TensorBuilder &t, Value vector, int64_t rank) {
  Sizes sizes(rank - 1, t.builder.getIndexAttr(1));
  sizes[0] = t.size(vector, 0);
  return t.reshape(vector, sizes);
}

LogicalResult lowerInstanceNormalization(onnx::InstanceNormalizationOp op,
                                         Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  int64_t rank = Lowering::getType(input).getRank();
  if (rank < 3)
    return l.error() << "expected an input of rank 3 or higher, got " << rank;
  Normalized normalized =
      normalize(t, input, getDimsFrom(2, rank),
                op.getEpsilon().convertToDouble(), /*subtractMean=*/true);
  l.set(op.getOutput(),
        scaleAndShift(
            t, normalized.value, alongChannels(t, l.get(op.getScale()), rank),
            alongChannels(t, l.get(op.getB()), rank), getElement(input)));
  return success();
}

LogicalResult lowerGroupNormalization(onnx::GroupNormalizationOp op,
                                      Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  int64_t rank = Lowering::getType(input).getRank();
  int64_t groups = op.getNumGroups();
  if (rank < 2 || groups < 1)
    return l.error() << "expected an input of rank 2 or higher and a positive "
                        "'num_groups', got "
                     << rank << " and " << groups;
  Sizes extents = t.sizes(input);
  OpFoldResult count = t.builder.getIndexAttr(groups);
  Sizes grouped = {
      extents[0], count,
      t.divSizes(t.product(ArrayRef(extents).drop_front()), count)};
  Normalized normalized =
      normalize(t, t.reshape(input, grouped), {2},
                op.getEpsilon().convertToDouble(), /*subtractMean=*/true);
  l.set(op.getY(), scaleAndShift(t, t.reshape(normalized.value, extents),
                                 alongChannels(t, l.get(op.getScale()), rank),
                                 alongChannels(t, l.get(op.getBias()), rank),
                                 getElement(input)));
  return success();
}

/// `x / norm`, and zero where the norm is.
LogicalResult lowerLpNormalization(onnx::LpNormalizationOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  FailureOr<int64_t> axis =
      l.getAxis(op.getAxis(), Lowering::getType(input).getRank());
  if (failed(axis))
    return failure();
  int64_t p = op.getP();
  if (p != 1 && p != 2)
    return l.error() << "expected 'p' to be 1 or 2, got " << p;
  Type element = getElement(input), wide = getAccumulator(element);
  Value powers =
      t.map(input, wide, [&](TensorBuilder &inner, ValueRange v) -> Value {
        Value x = inner.convert(v[0], wide);
        if (p == 2)
          return inner.mul(x, x);
        return math::AbsFOp::create(inner.builder, inner.loc, x);
      });
  Value sum = t.reduce(powers, *axis, Reduction::Sum, /*keep=*/true);
  l.set(op.getOutput(),
        t.map({input, sum}, element, [&](TensorBuilder &inner, ValueRange v) {
          Value norm = v[1], zero = inner.constant(wide, 0);
          if (p == 2)
            norm = math::SqrtOp::create(inner.builder, inner.loc, norm);
          Value isZero = inner.compare(arith::CmpIPredicate::eq,
                                       arith::CmpFPredicate::OEQ, norm, zero);
          Value quotient = inner.div(inner.convert(v[0], wide), norm);
          return inner.convert(inner.select(isZero, zero, quotient), element);
        }));
  return success();
}

} // namespace

void moe::addNormalizationLowerings(LoweringTable &table) {
  table.add(lowerSoftmax);
  table.add(lowerLogSoftmax);
  table.add(lowerLpNormalization);
  table.add(lowerLayerNormalization);
  table.add(lowerRMSNormalization);
  table.add(lowerSimplifiedLayerNormalization);
  table.add(lowerSkipSimplifiedLayerNormalization);
  table.add(lowerSkipLayerNormalization);
  table.add(lowerInstanceNormalization);
  table.add(lowerGroupNormalization);
}
