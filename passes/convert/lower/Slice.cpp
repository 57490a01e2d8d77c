//===- Slice.cpp - lowering of Slice ------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With axes and steps that are known, a slice is a view; backwards, or with
// those known at run time only, elements are copied one by one.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"
#include "passes/convert/lower/RuntimeAxes.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Clamps a position that may be negative, counted from the end, into
/// [low, extent + high].
OpFoldResult clampPosition(TensorBuilder &t, OpFoldResult position,
                           OpFoldResult extent, int64_t low, int64_t high) {
  std::optional<int64_t> value = getConstantIntValue(position);
  std::optional<int64_t> size = getConstantIntValue(extent);
  if (value && size) {
    int64_t from = *value < 0 ? *value + *size : *value;
    return t.builder.getIndexAttr(std::min(std::max(from, low), *size + high));
  }
  if (value && *value == 0 && low <= 0)
    return position;
  Value start = t.index(position), count = t.index(extent);
  if (!value || *value < 0) {
    Value isNegative = t.compare(arith::CmpIPredicate::slt,
                                 arith::CmpFPredicate::OLT, start, t.index(0));
    start = t.select(isNegative, t.add(start, count), start);
  }
  Value limit = high == 0 ? count : t.add(count, t.index(high));
  return t.min(t.max(start, t.index(low)), limit);
}

/// The slice along one dimension.
struct DimSlice {
  OpFoldResult start, end, step;
};

/// The part of `data` with a step other than 0 that is known.
Value sliceByConstant(TensorBuilder &t, Value data, int64_t dim,
                      const DimSlice &slice) {
  int64_t step = *getConstantIntValue(slice.step);
  OpFoldResult extent = t.size(data, dim);
  if (step > 0) {
    OpFoldResult from = clampPosition(t, slice.start, extent, 0, 0);
    OpFoldResult to = clampPosition(t, slice.end, extent, 0, 0);
    OpFoldResult distance = t.subSizes(to, from);
    if (std::optional<int64_t> constant = getConstantIntValue(distance))
      distance = t.builder.getIndexAttr(std::max<int64_t>(*constant, 0));
    else if (!isConstantIntValue(from, 0))
      distance = t.max(t.index(distance), t.index(0));
    OpFoldResult count = t.divSizes(
        step == 1 ? distance
                  : t.addSizes(distance, t.builder.getIndexAttr(step - 1)),
        t.builder.getIndexAttr(step));
    return t.slice(data, dim, from, count, step);
  }
  // Backwards: from `start` down to just above `end`.
  std::optional<int64_t> last = getConstantIntValue(slice.end);
  OpFoldResult from = clampPosition(t, slice.start, extent, 0, -1);
  OpFoldResult to = last && *last < -(int64_t(1) << 62)
                        ? OpFoldResult(t.builder.getIndexAttr(-1))
                        : clampPosition(t, slice.end, extent, -1, -1);
  OpFoldResult distance = t.subSizes(from, to);
  OpFoldResult count =
      t.divSizes(t.addSizes(distance, t.builder.getIndexAttr(-step - 1)),
                 t.builder.getIndexAttr(-step));
  if (std::optional<int64_t> constant = getConstantIntValue(count))
    count = t.builder.getIndexAttr(std::max<int64_t>(*constant, 0));
  else
    count = t.max(t.index(count), t.index(0));
  Sizes sizes = t.sizes(data);
  sizes[dim] = count;
  Value first = t.index(from);
  return t.generate(sizes, Lowering::getType(data).getElementType(),
                    [&](TensorBuilder &inner, ValueRange indices) {
                      SmallVector<Value> position(indices);
                      position[dim] = inner.add(
                          first, inner.mul(indices[dim], inner.index(step)));
                      return inner.extract(data, position);
                    });
}

/// The same for all dimensions at once, whatever is known.
Value sliceAtRunTime(TensorBuilder &t, Value data, ArrayRef<DimSlice> slices) {
  Sizes sizes;
  SmallVector<Value> starts, steps;
  Value zero = t.index(0), one = t.index(1), minusOne = t.index(-1);
  auto isBelow = [&](Value a, Value b) {
    return compareIndex(t, arith::CmpIPredicate::slt, a, b);
  };
  for (auto [dim, slice] : llvm::enumerate(slices)) {
    Value extent = t.index(t.size(data, dim)), step = t.index(slice.step);
    Value isZero = compareIndex(t, arith::CmpIPredicate::eq, step, zero);
    t.check(compareIndex(t, arith::CmpIPredicate::ne, step, zero),
            "Slice: the step is 0");
    // A zero step must not trap before the check is looked at.
    step = t.select(isZero, one, step);
    Value isBackward = isBelow(step, zero);
    Value low = t.select(isBackward, minusOne, zero);
    Value high = t.select(isBackward, t.sub(extent, one), extent);
    auto clamp = [&](OpFoldResult position, Value least) {
      Value place = t.index(position);
      place = t.select(isBelow(place, zero), t.add(place, extent), place);
      return t.max(t.min(place, high), least);
    };
    Value from = clamp(slice.start, zero), to = clamp(slice.end, low);
    // An empty dimension has no place for a start.
    from = t.min(from, t.max(high, low));
    Value count =
        arith::CeilDivSIOp::create(t.builder, t.loc, t.sub(to, from), step);
    sizes.push_back(t.max(count, zero));
    starts.push_back(from);
    steps.push_back(step);
  }
  return t.generate(
      sizes, Lowering::getType(data).getElementType(),
      [&](TensorBuilder &inner, ValueRange at) {
        SmallVector<Value> position;
        for (auto [place, start, step] : llvm::zip_equal(at, starts, steps))
          position.push_back(inner.add(start, inner.mul(place, step)));
        return inner.extract(data, position);
      });
}

LogicalResult lowerSlice(onnx::SliceOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  int64_t rank = Lowering::getType(data).getRank();
  FailureOr<Sizes> starts = l.getElements(op.getStarts());
  FailureOr<Sizes> ends = l.getElements(op.getEnds());
  if (failed(starts) || failed(ends))
    return failure();
  FailureOr<Sizes> axes = Sizes(), steps = Sizes();
  if (Lowering::has(op.getAxes()))
    axes = readAxes(l, op.getAxes(), rank);
  else
    for (size_t i = 0; i < starts->size(); ++i)
      axes->push_back(t.builder.getIndexAttr(i));
  if (Lowering::has(op.getSteps()))
    steps = l.getElements(op.getSteps());
  else
    steps->assign(starts->size(), t.builder.getIndexAttr(1));
  if (failed(axes) || failed(steps))
    return failure();
  if (axes->size() != starts->size() || ends->size() != starts->size() ||
      steps->size() != starts->size() || int64_t(axes->size()) > rank)
    return l.error() << "expected starts, ends, axes and steps of one length, "
                        "at most "
                     << rank;
  for (OpFoldResult step : *steps)
    if (isConstantIntValue(step, 0))
      return l.error() << "expected a step other than 0";
  if (areKnown(*axes) && areKnown(*steps)) {
    for (auto [axis, start, end, step] :
         llvm::zip_equal(*axes, *starts, *ends, *steps))
      data = sliceByConstant(t, data, *getConstantIntValue(axis),
                             {start, end, step});
    l.set(op.getOutput(), data);
    return success();
  }
  OpFoldResult zero = t.builder.getIndexAttr(0),
               one = t.builder.getIndexAttr(1);
  Sizes from(rank, zero), to(t.sizes(data)), by(rank, one);
  for (auto [axis, start, end, step] :
       llvm::zip_equal(*axes, *starts, *ends, *steps)) {
    replaceAt(t, from, axis, start);
    replaceAt(t, to, axis, end);
    replaceAt(t, by, axis, step);
  }
  SmallVector<DimSlice> slices;
  for (int64_t i = 0; i < rank; ++i)
    slices.push_back({from[i], to[i], by[i]});
  l.set(op.getOutput(), sliceAtRunTime(t, data, slices));
  return success();
}

} // namespace

void moe::addSliceLowering(LoweringTable &table) { table.add(lowerSlice); }
