//===- AttentionParts.cpp - parts of attention operators ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Attention.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;

static Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

Value moe::splitHeads(TensorBuilder &t, Value tensor, int64_t heads) {
  Sizes sizes = t.sizes(tensor);
  OpFoldResult count = t.builder.getIndexAttr(heads);
  Value split = t.reshape(
      tensor, {sizes[0], sizes[1], count, t.divSizes(sizes[2], count)});
  return t.transpose(split, {0, 2, 1, 3});
}

Value moe::mergeHeads(TensorBuilder &t, Value tensor) {
  Value rows = t.transpose(tensor, {0, 2, 1, 3});
  Sizes sizes = t.sizes(rows);
  return t.reshape(rows, {sizes[0], sizes[1], t.mulSizes(sizes[2], sizes[3])});
}

/// The first two dimensions as one, the heads that share keys as rows.
static Value groupHeads(TensorBuilder &t, Value tensor, OpFoldResult groups) {
  Sizes sizes = t.sizes(tensor);
  OpFoldResult shared = t.divSizes(sizes[1], groups);
  return t.reshape(tensor, {t.mulSizes(sizes[0], groups),
                            t.mulSizes(shared, sizes[2]), sizes[3]});
}

Value moe::buildScores(TensorBuilder &t, Value query, Value key) {
  OpFoldResult groups = t.size(key, 1);
  Value columns = groupHeads(t, t.transpose(key, {0, 1, 3, 2}), groups);
  Value product = t.matmul(groupHeads(t, query, groups), columns);
  Sizes sizes = t.sizes(query);
  sizes.back() = t.size(key, 2);
  return t.cast(t.reshape(product, sizes), getAccumulator(getElement(query)));
}

/// The element of `operand`, with up to four dimensions, that meets the score
/// at `position`.
static Value readBroadcast(TensorBuilder &t, Value operand,
                           ArrayRef<Value> extents, ValueRange position) {
  RankedTensorType type = Lowering::getType(operand);
  SmallVector<Value> place;
  for (int64_t i = 0; i < type.getRank(); ++i) {
    Value index = position[i + 4 - type.getRank()];
    if (type.getDimSize(i) == 1)
      index = t.index(0);
    else if (type.isDynamicDim(i))
      index = t.select(
          compareIndex(t, arith::CmpIPredicate::eq, extents[i], t.index(1)),
          t.index(0), index);
    place.push_back(index);
  }
  return t.extract(operand, place);
}

Value moe::mapScores(TensorBuilder &t, Value scores, ValueRange operands,
                     ScoreBody body) {
  SmallVector<SmallVector<Value>> extents;
  for (Value operand : operands)
    extents.push_back(llvm::map_to_vector(
        t.sizes(operand), [&](OpFoldResult size) { return t.index(size); }));
  return t.map(
      scores, getElement(scores), [&](TensorBuilder &inner, ValueRange v) {
        SmallVector<Value> position, elements;
        for (int64_t i = 0; i < 4; ++i)
          position.push_back(
              linalg::IndexOp::create(inner.builder, inner.loc, i));
        for (auto [operand, own] : llvm::zip_equal(operands, extents))
          elements.push_back(readBroadcast(inner, operand, own, position));
        return body(inner, v[0], elements, position);
      });
}

Value moe::scaleScores(TensorBuilder &t, Value scores, double scale,
                       double softcap) {
  return t.map(scores, getElement(scores),
               [&](TensorBuilder &inner, ValueRange v) -> Value {
                 Type type = v[0].getType();
                 Value scaled = inner.mul(v[0], inner.constant(type, scale));
                 if (softcap == 0.0)
                   return scaled;
                 Value cap = inner.constant(type, softcap);
                 Value bounded = math::TanhOp::create(inner.builder, inner.loc,
                                                      inner.div(scaled, cap));
                 return inner.mul(bounded, cap);
               });
}

Value moe::buildProbabilities(TensorBuilder &t, Value scores, Value sink) {
  Type type = getElement(scores);
  Value greatest = t.reduce(scores, 3, Reduction::Max, /*keep=*/true);
  SmallVector<Value> bounds = {greatest};
  if (sink) {
    OpFoldResult one = t.builder.getIndexAttr(1);
    sink = t.cast(t.reshape(sink, {t.size(sink, 0), one, one}), type);
    bounds.push_back(sink);
  }
  // Without any key the bound is -inf, which must not be subtracted.
  greatest = t.map(bounds, type, [&](TensorBuilder &inner, ValueRange v) {
    Value bound = v.size() == 2 ? inner.max(v[0], v[1]) : v[0];
    Value isEmpty = arith::CmpFOp::create(inner.builder, inner.loc,
                                          arith::CmpFPredicate::OEQ, bound,
                                          inner.extreme(type, /*high=*/false));
    return inner.select(isEmpty, inner.constant(type, 0), bound);
  });
  auto power = [](TensorBuilder &inner, Value x, Value bound) -> Value {
    return math::ExpOp::create(inner.builder, inner.loc, inner.sub(x, bound));
  };
  Value powers =
      t.map({scores, greatest}, type, [&](TensorBuilder &inner, ValueRange v) {
        return power(inner, v[0], v[1]);
      });
  Value sum = t.reduce(powers, 3, Reduction::Sum, /*keep=*/true);
  if (sink)
    sum = t.map({sum, greatest, sink}, type,
                [&](TensorBuilder &inner, ValueRange v) {
                  return inner.add(v[0], power(inner, v[2], v[1]));
                });
  return t.map({powers, sum}, type, [&](TensorBuilder &inner, ValueRange v) {
    Value zero = inner.constant(type, 0);
    Value isEmpty = arith::CmpFOp::create(
        inner.builder, inner.loc, arith::CmpFPredicate::OEQ, v[1], zero);
    return inner.select(isEmpty, zero, inner.div(v[0], v[1]));
  });
}

Value moe::buildWeightedValues(TensorBuilder &t, Value probabilities,
                               Value value) {
  OpFoldResult groups = t.size(value, 1);
  Sizes sizes = t.sizes(probabilities);
  Value weights = t.cast(probabilities, getElement(value));
  Sizes own = t.sizes(value);
  Value rows = t.reshape(value, {t.mulSizes(own[0], own[1]), own[2], own[3]});
  Value product = t.matmul(groupHeads(t, weights, groups), rows);
  sizes.back() = own[3];
  return t.reshape(product, sizes);
}

FailureOr<double> moe::getScale(Lowering &l, std::optional<APFloat> scale,
                                Value query) {
  if (scale && !scale->isZero())
    return scale->convertToDouble();
  int64_t size = Lowering::getType(query).getShape().back();
  if (ShapedType::isDynamic(size))
    return l.error() << "expected a known head size or a 'scale'";
  return 1.0 / std::sqrt(static_cast<double>(size));
}
