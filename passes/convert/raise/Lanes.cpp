//===- Lanes.cpp - one product for the rows of each expert ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   ends = running sum of how often each id occurs
//   y    = concat over e of rows[ends[e-1] .. ends[e]] * W[e]
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/LinearMatch.h"
#include "passes/convert/raise/Products.h"
#include "passes/convert/raise/RowSpaces.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

class LaneMatcher {
public:
  LaneMatcher(Tracer &tracer, onnx::ConcatOp concat, onnx::TopKOp sort)
      : tracer(tracer), sort(sort), experts(concat->getNumOperands()) {}

  /// `value` restricted to the rows of expert `e`, or nothing.
  Value matchRows(Value value, int64_t e) {
    if (auto split = value.getDefiningOp<onnx::SplitOp>()) {
      if (split.getNumResults() == experts && split.getAxis() == 0 &&
          value == split.getResult(e) && isPresent(split.getSplit()) &&
          isHistogram(split.getSplit()))
        return split.getInput();
      return {};
    }
    Value start, end, data;
    if (auto slice = value.getDefiningOp<onnx::SliceOp>()) {
      bool rows = isPresent(slice.getAxes()) &&
                  getIntegers(slice.getAxes()) == SmallVector<int64_t>{0};
      if (!rows || (isPresent(slice.getSteps()) &&
                    getIntegers(slice.getSteps()) != SmallVector<int64_t>{1}))
        return {};
      data = slice.getData();
      start = slice.getStarts();
      end = slice.getEnds();
    } else if (isa_and_nonnull<onnx::GatherOp, onnx::GatherNDOp>(
                   value.getDefiningOp())) {
      Operation *op = value.getDefiningOp();
      auto range = getProducer<onnx::RangeOp>(op->getOperand(1));
      if (!range || getNumber(range.getDelta()) != 1.0 ||
          (isa<onnx::GatherOp>(op) && cast<onnx::GatherOp>(op).getAxis() != 0))
        return {};
      data = op->getOperand(0);
      start = range.getStart();
      end = range.getLimit();
    } else {
      return {};
    }
    return isBound(start, e - 1) && isBound(end, e) ? data : Value();
  }

private:
  /// Whether `value` is the number of rows of the experts up to `e`.
  bool isBound(Value value, int64_t e) {
    if (e < 0)
      return getNumber(value) == 0.0;
    IndexedValue bound{value, {}};
    bound.axes.resize(getTensorType(value).getRank());
    bound = tracer.trace(bound);
    int64_t place = 0;
    for (const Axis &axis : bound.axes)
      if (!axis.empty() && axis[0].isConstant())
        place = axis[0].offset;
    if (place != e)
      return false;
    if (bound.value == ends)
      return true;
    auto sums = bound.value.getDefiningOp<onnx::CumSumOp>();
    if (ends || !sums || sums.getExclusive() || sums.getReverse() ||
        !isHistogram(sums.getX()))
      return false;
    ends = bound.value;
    return true;
  }

  bool isAllIds(Value value) {
    value = skipCasts(value);
    return value == sort.getValues() || value == skipCasts(sort.getX());
  }

  /// Whether `value` counts how often each expert occurs.
  bool isHistogram(Value value) {
    value = skipCasts(value);
    if (value == histogram)
      return true;
    if (auto concat = value.getDefiningOp<onnx::ConcatOp>();
        concat && concat->getNumOperands() == experts)
      return isListed(concat);
    if (!isScattered(value) && !isSummed(value))
      return false;
    histogram = value;
    return true;
  }

  /// Whether operand e of `concat` is element e of a histogram.
  bool isListed(onnx::ConcatOp concat) {
    for (auto [e, operand] : llvm::enumerate(concat->getOperands())) {
      IndexedValue entry{operand, {}};
      entry.axes.resize(getTensorType(operand).getRank());
      entry = tracer.trace(entry);
      if (entry.axes.size() != 1 || !isHistogram(entry.value) ||
          (e > 0 && entry.axes[0].empty()) ||
          (!entry.axes[0].empty() &&
           !(entry.axes[0][0].isConstant() &&
             entry.axes[0][0].offset == static_cast<int64_t>(e))))
        return false;
    }
    return true;
  }

  /// Whether `indexed`, which is summed over the tokens, is 1 for each expert
  /// of a token: the experts of a token differ.
  bool isManyHot(const IndexedValue &indexed, int label) {
    IndexedValue traced = tracer.trace(indexed);
    // Of 0 and 1 every conversion is exact.
    while (auto cast = traced.value.getDefiningOp<onnx::CastOp>()) {
      traced.value = cast.getInput();
      traced = tracer.trace(traced);
    }
    auto scatter = traced.value.getDefiningOp<onnx::ScatterElementsOp>();
    if (!scatter || traced.axes.size() != 2 || traced.getLabel(1) != label ||
        getAxisFromFront(scatter.getAxis(), 2) != 1 ||
        !isFilledWith(scatter.getData(), 0) ||
        !isFilledWith(scatter.getUpdates(), 1))
      return false;
    Value ids = skipCasts(scatter.getIndices());
    auto choice = ids.getDefiningOp<onnx::TopKOp>();
    return choice && choice.getIndices() == ids && isAllIds(ids);
  }

  bool isSummed(Value value) {
    IndexedValue indexed = tracer.addLabels(value);
    if (indexed.axes.size() != 1 || indexed.axes[0].empty())
      return false;
    int label = indexed.axes[0][0].label;
    std::optional<Product> product = getProduct(tracer, indexed);
    if (!product || product->factors.size() != 1 ||
        tracer.getExtent(label) != static_cast<int64_t>(experts))
      return false;
    if (isManyHot(product->factors[0], label))
      return true;
    std::optional<OneHotMatch> hot =
        matchOneHot(tracer, product->factors[0], label);
    return hot && !hot->expert && isAllIds(hot->ids.value);
  }

  bool isScattered(Value value) {
    auto scatter = value.getDefiningOp<onnx::ScatterElementsOp>();
    if (!scatter || scatter.getReduction() != "add" ||
        getTensorType(value).getRank() != 1 ||
        getTensorType(value).getDimSize(0) != static_cast<int64_t>(experts) ||
        !isFilledWith(scatter.getData(), 0) ||
        !isFilledWith(scatter.getUpdates(), 1))
      return false;
    if (isAllIds(scatter.getIndices()))
      return true;
    // A histogram of bins: each id has to fall into its own.
    auto clip =
        skipReshapes(scatter.getIndices()).getDefiningOp<onnx::ClipOp>();
    if (!clip || !isPresent(clip.getMin()) || !isPresent(clip.getMax()))
      return false;
    std::optional<double> low = getNumber(clip.getMin());
    std::optional<double> high = getNumber(clip.getMax());
    Value binned = skipCasts(clip.getInput());
    std::optional<double> width = 1.0;
    if (auto div = binned.getDefiningOp<onnx::DivOp>()) {
      width = getNumber(div.getB());
      binned = div.getA();
    }
    if (!low || !high || !width || !isAllIds(binned))
      return false;
    for (unsigned e = 0; e < experts; ++e) {
      float bin =
          std::trunc(static_cast<float>(e) / static_cast<float>(*width));
      if (std::clamp<double>(bin, *low, *high) != e)
        return false;
    }
    return true;
  }

  Tracer &tracer;
  onnx::TopKOp sort;
  unsigned experts;
  /// What was proved to be the running sum, and the histogram.
  Value ends, histogram;
};

} // namespace

std::optional<LinearMatch> moe::matchLanes(Tracer &tracer,
                                           onnx::ConcatOp concat,
                                           const IndexedValue &indexed,
                                           int out) {
  int64_t rank = indexed.axes.size();
  int64_t dim = getAxisFromFront(concat.getAxis(), rank);
  int rows = dim == 0 ? indexed.getLabel(0) : Digit::kNone;
  const RowSpace *space = rows != Digit::kNone ? tracer.getRows(rows) : nullptr;
  onnx::TopKOp sort = space ? getSort(space->list) : onnx::TopKOp();
  if (!sort)
    return std::nullopt;
  LaneMatcher matcher(tracer, concat, sort);
  LinearMatch result;
  result.out = out;
  SmallVector<WeightView> views;
  for (auto [e, lane] : llvm::enumerate(concat->getOperands())) {
    int own = tracer.addLabel(ShapedType::kDynamic);
    IndexedValue part{lane, indexed.axes};
    part.axes[0] = tracer.getWhole(own);
    part = tracer.trace(part);
    std::optional<Product> product = getContraction(tracer, part);
    if (!product || product->factors.size() != 2)
      return std::nullopt;
    IndexedValue x = product->factors[0];
    IndexedValue matrix = tracer.trace(product->factors[1]);
    std::optional<WeightView> view = WeightView::get(matrix.value);
    auto labelled =
        view ? getLabelledView(tracer, *view, matrix.axes) : std::nullopt;
    Value data = labelled ? matcher.matchRows(x.value, e) : Value();
    int in = product->summed[0];
    if (!data || labelled->second.size() != 2)
      return std::nullopt;
    std::optional<WeightView> ordered =
        getOrdered({labelled->first, labelled->second}, {in, out});
    if (!ordered)
      return std::nullopt;
    views.push_back(*ordered);
    if (e == 0) {
      x.value = data;
      x.replace(own, Digit{rows, 0, 1, tracer.getExtent(rows)});
      result.x = tracer.trace(x);
      result.in = in;
      result.matrix.ids.value = data;
    } else if (result.matrix.ids.value != data) {
      return std::nullopt;
    }
  }
  std::optional<WeightView> stack = WeightView::stack(views);
  if (!stack)
    return std::nullopt;
  result.matrix.view = *stack;
  result.matrix.expert = tracer.addLabel(concat->getNumOperands());
  result.matrix.labels = {result.matrix.expert, result.in, out};
  result.matrix.ids = traceIds(tracer, {sort.getX(), {space->places[0]}});
  return result;
}
