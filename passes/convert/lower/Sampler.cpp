//===- Sampler.cpp - images read between their pixels ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Sampler.h"
#include "passes/convert/lower/Indexing.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

Value moe::toIndex(TensorBuilder &t, Value x) {
  double bound = double(int64_t(1) << 40);
  // Unlike `min` and `max`, these two prefer a number to NaN.
  Value above = arith::MaxNumFOp::create(t.builder, t.loc, x,
                                         t.constant(x.getType(), -bound));
  Value within = arith::MinNumFOp::create(t.builder, t.loc, above,
                                          t.constant(x.getType(), bound));
  return t.convert(within, t.builder.getIndexType());
}

Sampler::Sampler(TensorBuilder &t, Value image, Type wide,
                 Interpolation interpolation, Border border, bool alignCorners)
    : image(image), wide(wide), interpolation(interpolation), border(border),
      alignCorners(alignCorners) {
  Sizes sizes = t.sizes(image);
  for (OpFoldResult size : ArrayRef(sizes).drop_front(2)) {
    Value extent = t.index(size);
    std::optional<int64_t> known = getConstantIntValue(size);
    if (!known || *known < 1)
      t.check(compareIndex(t, arith::CmpIPredicate::sgt, extent, t.index(0)),
              "an image has no pixels");
    extents.push_back(extent);
    lengths.push_back(t.convert(extent, wide));
  }
}

/// Folds `x` into the image at mirrors that are `reach` apart.
Value Sampler::reflect(TensorBuilder &t, Value x, unsigned dim) const {
  Value low = t.constant(wide, alignCorners ? 0.0 : -0.5);
  Value reach =
      alignCorners ? t.sub(lengths[dim], t.constant(wide, 1.0)) : lengths[dim];
  Value distance = math::AbsFOp::create(t.builder, t.loc, t.sub(x, low));
  Value period = t.add(reach, reach);
  Value turns =
      math::FloorOp::create(t.builder, t.loc, t.div(distance, period));
  Value rest = t.sub(distance, t.mul(turns, period));
  return t.add(low, t.min(rest, t.sub(period, rest)));
}

Sampler::Tap Sampler::getTap(TensorBuilder &t, Value place,
                             unsigned dim) const {
  Tap tap;
  if (border == Border::Reflect)
    place = math::TruncOp::create(t.builder, t.loc, reflect(t, place, dim));
  Value index = toIndex(t, place);
  if (border == Border::Zeros)
    tap.isInside = andAll(
        t, {compareIndex(t, arith::CmpIPredicate::sge, index, t.index(0)),
            compareIndex(t, arith::CmpIPredicate::slt, index, extents[dim])});
  tap.index = t.max(t.min(index, t.sub(extents[dim], t.index(1))), t.index(0));
  return tap;
}

SmallVector<Sampler::Tap> Sampler::getTaps(TensorBuilder &t, Value x,
                                           unsigned dim) const {
  auto number = [&](double value) { return t.constant(wide, value); };
  if (interpolation == Interpolation::Nearest)
    x = math::RoundEvenOp::create(t.builder, t.loc, x);
  if (border != Border::Zeros) {
    // Coordinates beyond the edges move into the image, like the pixels.
    Value last = t.sub(lengths[dim], number(1));
    double margin = alignCorners ? 0.0 : 0.5;
    Value below = t.compare(arith::CmpIPredicate::eq, arith::CmpFPredicate::OLT,
                            x, number(-margin));
    Value above = t.compare(arith::CmpIPredicate::eq, arith::CmpFPredicate::OGT,
                            x, t.add(last, number(margin)));
    Value moved = border == Border::Reflect ? reflect(t, x, dim)
                                            : t.max(t.min(x, last), number(0));
    x = t.select(arith::OrIOp::create(t.builder, t.loc, below, above), moved,
                 x);
  }
  if (interpolation == Interpolation::Nearest)
    return {getTap(t, x, dim)};
  Value floor = math::FloorOp::create(t.builder, t.loc, x);
  Value ratio = t.sub(x, floor), one = number(1);
  SmallVector<Tap> taps;
  auto addTap = [&](double offset, Value weight) {
    Tap tap = getTap(t, t.add(floor, number(offset)), dim);
    tap.weight = weight;
    taps.push_back(tap);
  };
  if (interpolation == Interpolation::Linear) {
    addTap(0, t.sub(one, ratio));
    addTap(1, ratio);
    return taps;
  }
  // Keys' cubic kernel, near and far from the coordinate.
  double a = -0.75;
  auto polynomial = [&](Value distance, ArrayRef<double> coefficients) {
    Value sum = number(coefficients.front());
    for (double coefficient : coefficients.drop_front())
      sum = t.add(t.mul(sum, distance), number(coefficient));
    return sum;
  };
  auto near = [&](Value distance) {
    return polynomial(distance, {a + 2, -(a + 3), 0, 1});
  };
  auto far = [&](Value distance) {
    return polynomial(distance, {a, -5 * a, 8 * a, -4 * a});
  };
  Value rest = t.sub(one, ratio);
  addTap(-1, far(t.add(ratio, one)));
  addTap(0, near(ratio));
  addTap(1, near(rest));
  addTap(2, far(t.add(rest, one)));
  return taps;
}

/// The weighted sum over the taps of the remaining dimensions.
Value Sampler::combine(TensorBuilder &t, ArrayRef<SmallVector<Tap>> taps,
                       SmallVector<Value> &position) const {
  if (taps.empty())
    return t.convert(t.extract(image, position), wide);
  Value sum;
  for (const Tap &tap : taps.front()) {
    position.push_back(tap.index);
    Value part = combine(t, taps.drop_front(), position);
    position.pop_back();
    if (tap.isInside)
      part = t.select(tap.isInside, part, t.constant(wide, 0));
    if (tap.weight)
      part = t.mul(tap.weight, part);
    sum = sum ? t.add(sum, part) : part;
  }
  return sum;
}

Value Sampler::sample(TensorBuilder &t, Value batch, Value channel,
                      ValueRange coordinates) const {
  SmallVector<SmallVector<Tap>> taps;
  for (auto [dim, x] : llvm::enumerate(coordinates))
    taps.push_back(getTaps(t, x, dim));
  SmallVector<Value> position = {batch, channel};
  return combine(t, taps, position);
}
