//===- Sampling.cpp - lowering of operators that sample images ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"
#include "passes/convert/lower/Sampler.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

/// The code of one element grows with the number of pixels that it reads.
static constexpr int64_t kMaxSampledDims = 3;

namespace {

/// Interpolation is done in f32 or wider.
Type getWide(TensorBuilder &t, Type element) {
  return isa<FloatType>(element) ? getAccumulator(element)
                                 : Type(t.builder.getF32Type());
}

std::optional<Interpolation> getInterpolation(StringRef mode) {
  if (mode == "nearest")
    return Interpolation::Nearest;
  if (mode == "linear" || mode == "bilinear")
    return Interpolation::Linear;
  if (mode == "cubic" || mode == "bicubic")
    return Interpolation::Cubic;
  return std::nullopt;
}

std::optional<Border> getBorder(StringRef mode) {
  if (mode == "zeros")
    return Border::Zeros;
  if (mode == "border")
    return Border::Clamp;
  if (mode == "reflection")
    return Border::Reflect;
  return std::nullopt;
}

LogicalResult lowerGridSample(onnx::GridSampleOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value image = l.get(op.getX()), grid = l.get(op.getGrid());
  RankedTensorType type = Lowering::getType(image);
  int64_t count = type.getRank() - 2;
  if (count < 1 || count > kMaxSampledDims ||
      Lowering::getType(grid).getRank() != type.getRank() ||
      Lowering::getType(grid).getShape().back() != count)
    return l.error() << "expected 1 to " << kMaxSampledDims
                     << " spatial dimensions and a grid with as many "
                        "coordinates, got "
                     << Lowering::getType(op.getX()) << " and "
                     << Lowering::getType(op.getGrid());
  std::optional<Interpolation> interpolation = getInterpolation(op.getMode());
  std::optional<Border> border = getBorder(op.getPaddingMode());
  if (!interpolation || !border)
    return l.error() << "expected 'mode' nearest, linear or cubic and "
                        "'padding_mode' zeros, border or reflection, got '"
                     << op.getMode() << "' and '" << op.getPaddingMode() << "'";
  bool alignCorners = op.getAlignCorners();
  Type element = type.getElementType(), wide = getWide(t, element);
  Sampler sampler(t, image, wide, *interpolation, *border, alignCorners);
  // The coordinates in a grid go from -1 to 1, last dimension first.
  auto scale = [&](TensorBuilder &b, Value x, unsigned dim) {
    Value one = b.constant(wide, 1), half = b.constant(wide, 0.5);
    Value shifted = b.add(x, one), length = sampler.getLength(dim);
    if (alignCorners)
      return b.mul(b.mul(shifted, half), b.sub(length, one));
    return b.mul(b.sub(b.mul(shifted, length), one), half);
  };
  Sizes sizes = t.sizes(grid);
  sizes.pop_back();
  sizes.insert(sizes.begin() + 1, t.size(image, 1));
  t.checkEqual(t.size(image, 0), sizes.front(),
               "GridSample: image and grid differ in their batch");
  l.set(op.getY(),
        t.generate(sizes, element, [&](TensorBuilder &b, ValueRange at) {
          SmallVector<Value> place(at), coordinates;
          place.erase(place.begin() + 1);
          for (int64_t i = 0; i < count; ++i) {
            SmallVector<Value> source(place);
            source.push_back(b.index(count - 1 - i));
            Value x = b.convert(b.extract(grid, source), wide);
            coordinates.push_back(scale(b, x, i));
          }
          return b.convert(sampler.sample(b, at[0], at[1], coordinates),
                           element);
        }));
  return success();
}

//===----------------------------------------------------------------------===//
// RoiAlign
//===----------------------------------------------------------------------===//

/// The part of a region of interest, along one dimension, that makes one
/// element.
struct Bin {
  Value start, size; ///< Floating-point numbers.
  Value count;       ///< Sampled places, of type index.
};

class RoiAlignBuilder {
public:
  RoiAlignBuilder(onnx::RoiAlignOp op, Lowering &l)
      : op(op), l(l), t(l.tensors) {}

  LogicalResult build() {
    Value image = l.get(op.getX());
    rois = l.get(op.getRois());
    Value batches = l.get(op.getBatchIndices());
    RankedTensorType type = Lowering::getType(image);
    int64_t height = op.getOutputHeight(), width = op.getOutputWidth();
    bool isMax = op.getMode() == "max";
    if (type.getRank() != 4 || height < 1 || width < 1 ||
        int64_t(op.getSamplingRatio()) < 0 ||
        Lowering::getType(rois).getRank() != 2 ||
        Lowering::getType(batches).getRank() != 1 ||
        (!isMax && op.getMode() != "avg"))
      return l.error() << "expected an image of rank 4, regions of rank 2, "
                          "positive output extents and 'mode' avg or max";
    element = type.getElementType();
    wide = getWide(t, element);
    if (failed(
            checkIndices(l, op.getBatchIndices(), batches, t.size(image, 0))))
      return failure();
    Value limit = t.index(t.size(image, 0));
    for (int64_t i : {2, 3}) {
      OpFoldResult extent = t.size(image, i);
      extents.push_back(t.index(extent));
      t.check(compareIndex(t, arith::CmpIPredicate::sgt, extents.back(),
                           t.index(0)),
              "an image has no pixels");
    }
    t.checkEqual(t.size(batches, 0), t.size(rois, 0),
                 "RoiAlign: expected a batch index for each region");
    t.checkEqual(t.size(rois, 1), t.builder.getIndexAttr(4),
                 "RoiAlign: expected 4 numbers for a region");
    Sizes sizes = {t.size(rois, 0), t.size(image, 1),
                   t.builder.getIndexAttr(height),
                   t.builder.getIndexAttr(width)};
    l.set(op.getY(),
          t.generate(sizes, element, [&](TensorBuilder &b, ValueRange at) {
            Value batch = wrapIndex(b, b.extract(batches, at[0]), limit);
            Bin rows = getBin(b, at[0], 1, at[2], height);
            Bin columns = getBin(b, at[0], 0, at[3], width);
            SmallVector<Value> position = {batch, at[1]};
            return b.convert(pool(b, image, position, rows, columns, isMax),
                             element);
          }));
    return success();
  }

private:
  /// Coordinate `axis` of a region starts and ends in columns `axis` and
  /// `axis + 2` of `rois`.
  Bin getBin(TensorBuilder &b, Value roi, int64_t axis, Value place,
             int64_t places) {
    bool isHalf = op.getCoordinateTransformationMode() == "half_pixel";
    auto number = [&](double value) { return b.constant(wide, value); };
    auto read = [&](int64_t column) {
      Value x = b.convert(b.extract(rois, {roi, b.index(column)}), wide);
      x = b.mul(x, number(op.getSpatialScale().convertToDouble()));
      return isHalf ? b.sub(x, number(0.5)) : x;
    };
    Value start = read(axis), length = b.sub(read(axis + 2), start);
    if (!isHalf)
      length = b.max(length, number(1));
    Bin bin;
    bin.size = b.div(length, number(double(places)));
    bin.start = b.add(start, b.mul(b.convert(place, wide), bin.size));
    int64_t ratio = op.getSamplingRatio();
    if (ratio > 0) {
      bin.count = b.index(ratio);
    } else {
      Value count = math::CeilOp::create(b.builder, b.loc, bin.size);
      // More places than a pixel has bits of coordinate are of no use.
      bin.count = b.max(b.min(toIndex(b, count), b.index(1 << 20)), b.index(0));
    }
    return bin;
  }

  /// The mean or the greatest of the sampled values.
  Value pool(TensorBuilder &b, Value image, ArrayRef<Value> position,
             const Bin &rows, const Bin &columns, bool isMax) {
    Value zero = b.constant(wide, 0);
    Value start = isMax ? b.extreme(wide, false) : zero;
    Value total = b.mul(rows.count, columns.count);
    auto getPlace = [&](TensorBuilder &inner, const Bin &bin, Value i) {
      Value step = inner.div(bin.size, inner.convert(bin.count, wide));
      Value middle =
          inner.add(inner.convert(i, wide), inner.constant(wide, 0.5));
      return inner.add(bin.start, inner.mul(middle, step));
    };
    Value folded =
        buildLoops(b, {OpFoldResult(rows.count), OpFoldResult(columns.count)},
                   start,
                   [&](TensorBuilder &inner, ValueRange at,
                       ValueRange sum) -> SmallVector<Value> {
                     return {addSample(
                         inner, image, position, getPlace(inner, rows, at[0]),
                         getPlace(inner, columns, at[1]), sum[0], isMax)};
                   })
            .front();
    Value isEmpty =
        compareIndex(b, arith::CmpIPredicate::eq, total, b.index(0));
    if (!isMax)
      folded = b.div(folded, b.convert(b.max(total, b.index(1)), wide));
    return b.select(isEmpty, zero, folded);
  }

  /// The two pixels beside a coordinate and their weights.
  struct Sides {
    Value isInside, low, high, lowWeight, highWeight;
  };

  Sides getSides(TensorBuilder &b, Value x, Value extent) {
    Value length = b.convert(extent, wide), zero = b.constant(wide, 0);
    Value one = b.constant(wide, 1), last = b.sub(extent, b.index(1));
    auto compare = [&](arith::CmpFPredicate predicate, Value y, Value z) {
      return b.compare(arith::CmpIPredicate::eq, predicate, y, z);
    };
    Sides sides;
    sides.isInside =
        andAll(b, {compare(arith::CmpFPredicate::OGE, x, b.constant(wide, -1)),
                   compare(arith::CmpFPredicate::OLE, x, length)});
    x = b.min(b.max(x, zero), b.convert(last, wide));
    sides.low = b.max(b.min(toIndex(b, x), last), b.index(0));
    sides.high = b.min(b.add(sides.low, b.index(1)), last);
    sides.highWeight = b.sub(x, b.convert(sides.low, wide));
    sides.lowWeight = b.sub(one, sides.highWeight);
    return sides;
  }

  Value addSample(TensorBuilder &b, Value image, ArrayRef<Value> position,
                  Value y, Value x, Value sum, bool isMax) {
    Sides rows = getSides(b, y, extents[0]);
    Sides columns = getSides(b, x, extents[1]);
    Value zero = b.constant(wide, 0), sample;
    for (bool highRow : {false, true})
      for (bool highColumn : {false, true}) {
        SmallVector<Value> source(position);
        source.push_back(highRow ? rows.high : rows.low);
        source.push_back(highColumn ? columns.high : columns.low);
        Value weight =
            b.mul(highRow ? rows.highWeight : rows.lowWeight,
                  highColumn ? columns.highWeight : columns.lowWeight);
        Value part = b.mul(weight, b.convert(b.extract(image, source), wide));
        sample = !sample ? part
                 : isMax ? b.max(sample, part)
                         : b.add(sample, part);
      }
    sample =
        b.select(andAll(b, {rows.isInside, columns.isInside}), sample, zero);
    return isMax ? b.max(sum, sample) : b.add(sum, sample);
  }

  onnx::RoiAlignOp op;
  Lowering &l;
  TensorBuilder &t;
  Value rois;
  Type element, wide;
  SmallVector<Value> extents;
};

LogicalResult lowerRoiAlign(onnx::RoiAlignOp op, Lowering &l) {
  return RoiAlignBuilder(op, l).build();
}

} // namespace

void moe::addSamplingLowerings(LoweringTable &table) {
  table.add(lowerGridSample);
  table.add(lowerRoiAlign);
}
