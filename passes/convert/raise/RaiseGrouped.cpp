//===- RaiseGrouped.cpp - experts on rows sorted by expert ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   sorted, order = sort(ids)                  all assignments, by expert
//   ends          = running sum of how often each id occurs
//   rows          = x[order / K]
//   h             = concat over e of rows[ends[e-1] .. ends[e]] * W1[e]
//   y             = the same with W2 on act(h), * weights[order]
//   out           = sum over the K slots of y[inverse of order]
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/ExpertBody.h"
#include "passes/convert/raise/ExpertForms.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// `data[indices]` along the first dimension, if `value` is that.
Operation *getGather(Value value) {
  Operation *op = skipReshapes(value).getDefiningOp();
  if (auto gather = dyn_cast_or_null<onnx::GatherNDOp>(op))
    return gather.getBatchDims() == 0 ? op : nullptr;
  if (auto gather = dyn_cast_or_null<onnx::GatherOp>(op))
    return gather.getAxis() == 0 ? op : nullptr;
  return nullptr;
}

class GroupedMatcher {
public:
  /// Finds the order that `inverse` undoes.
  bool matchSort(Value inverse) {
    auto scatter = getProducer<onnx::ScatterNDOp>(inverse);
    if (!scatter || scatter.getReduction() != "none")
      return false;
    sort = getProducer<onnx::TopKOp>(scatter.getIndices());
    auto positions = getProducer<onnx::RangeOp>(scatter.getUpdates());
    if (!sort || !positions || sort.getLargest() ||
        skipReshapes(scatter.getIndices()) != sort.getIndices() ||
        getNumber(positions.getStart()) != 0.0 ||
        getNumber(positions.getDelta()) != 1.0)
      return false;
    // The sort takes everything there is.
    auto length = getProducer<onnx::ShapeOp>(sort.getK());
    return getTensorType(sort.getX()).getRank() == 1 && length &&
           length.getData() == sort.getX();
  }

  Value getIds() { return skipReshapes(sort.getX()); }

  /// `values` such that `value` holds them in sorted order.
  Value matchOrdered(Value value) {
    Operation *gather = getGather(value);
    if (!gather || skipReshapes(gather->getOperand(1)) != sort.getIndices())
      return {};
    return skipReshapes(gather->getOperand(0));
  }

  /// `x` such that `value` holds the token of each assignment in order.
  Value matchTokens(Value value, int64_t slots) {
    Operation *gather = getGather(value);
    return gather && isTokenOfAssignment(gather->getOperand(1), slots)
               ? gather->getOperand(0)
               : Value();
  }

  std::optional<ExpertLinear> matchLinear(Value value) {
    if (auto add = getProducer<onnx::AddOp>(value)) {
      for (unsigned i = 0; i < 2; ++i) {
        Operation *bias = getGather(add->getOperand(1 - i));
        std::optional<ExpertLinear> linear = matchLanes(add->getOperand(i));
        if (!linear || !bias ||
            skipCasts(bias->getOperand(1)) != sort.getValues() ||
            getTensorType(bias->getOperand(0)).getRank() != 2)
          continue;
        linear->bias = bias->getOperand(0);
        return linear;
      }
      return std::nullopt;
    }
    return matchLanes(value);
  }

private:
  /// order / slots, rounded down; order is not negative, so that a correction
  /// for negative numbers is zero.
  bool isTokenOfAssignment(Value value, int64_t slots) {
    value = skipReshapes(value);
    if (auto sub = value.getDefiningOp<onnx::SubOp>()) {
      auto both = skipCasts(sub.getB()).getDefiningOp<onnx::AndOp>();
      auto equal =
          both ? both.getA().getDefiningOp<onnx::EqualOp>() : onnx::EqualOp();
      auto less =
          equal ? equal.getA().getDefiningOp<onnx::LessOp>() : onnx::LessOp();
      std::optional<double> wanted =
          equal ? getNumber(equal.getB()) : std::nullopt;
      if (!less || less.getA() != sort.getIndices() ||
          getNumber(less.getB()) != 0.0 || !wanted || *wanted == 0.0)
        return false;
      value = skipReshapes(sub.getA());
    }
    auto div = value.getDefiningOp<onnx::DivOp>();
    return div && div.getA() == sort.getIndices() &&
           getNumber(div.getB()) == static_cast<double>(slots);
  }

  /// Whether `value` counts how often each expert occurs in the sorted ids.
  bool isHistogram(Value value, int64_t experts) {
    auto scatter = skipCasts(value).getDefiningOp<onnx::ScatterElementsOp>();
    if (!scatter || scatter.getReduction() != "add" ||
        getNumber(scatter.getData()) != 0.0)
      return false;
    Value ones = scatter.getUpdates();
    if (auto expand = ones.getDefiningOp<onnx::ExpandOp>())
      ones = expand.getInput();
    if (getNumber(ones) != 1.0)
      return false;
    auto clip = scatter.getIndices().getDefiningOp<onnx::ClipOp>();
    if (!clip || !isPresent(clip.getMin()) || !isPresent(clip.getMax()))
      return false;
    std::optional<double> low = getNumber(clip.getMin());
    std::optional<double> high = getNumber(clip.getMax());
    auto div = skipCasts(clip.getInput()).getDefiningOp<onnx::DivOp>();
    std::optional<double> width = div ? getNumber(div.getB()) : std::nullopt;
    if (!low || !high || !width || skipCasts(div.getA()) != sort.getValues())
      return false;
    // A histogram of bins: each id has to fall into its own.
    for (int64_t e = 0; e < experts; ++e) {
      float bin =
          std::trunc(static_cast<float>(e) / static_cast<float>(*width));
      if (std::clamp<double>(bin, *low, *high) != e)
        return false;
    }
    return true;
  }

  /// The number in which the rows of expert e end.
  bool isEnd(Value value, unsigned e, int64_t experts) {
    auto split = getProducer<onnx::SplitOp>(value);
    if (!split || split.getNumResults() != experts ||
        skipReshapes(value) != split.getResult(e))
      return false;
    if (split.getInput() == ends)
      return true;
    auto sums = skipCasts(split.getInput()).getDefiningOp<onnx::CumSumOp>();
    if (ends || !sums || sums.getExclusive() || sums.getReverse() ||
        !isHistogram(sums.getX(), experts))
      return false;
    ends = split.getInput();
    return true;
  }

  std::optional<ExpertLinear> matchLanes(Value value) {
    auto concat = getProducer<onnx::ConcatOp>(value);
    if (!concat || concat.getAxis() != 0)
      return std::nullopt;
    int64_t experts = concat->getNumOperands();
    SmallVector<WeightView> weights;
    Value rows, previous;
    for (auto [e, lane] : llvm::enumerate(concat->getOperands())) {
      auto matmul = getProducer<onnx::MatMulOp>(lane);
      Operation *gather = matmul ? getGather(matmul.getA()) : nullptr;
      std::optional<WeightView> view =
          gather ? WeightView::get(matmul.getB()) : std::nullopt;
      auto range = gather ? getProducer<onnx::RangeOp>(gather->getOperand(1))
                          : onnx::RangeOp();
      if (!view || view->getRank() != 2 || !range ||
          getNumber(range.getDelta()) != 1.0 ||
          !isEnd(range.getLimit(), e, experts) ||
          (e == 0 ? getNumber(range.getStart()) != 0.0
                  : skipReshapes(range.getStart()) != previous))
        return std::nullopt;
      previous = skipReshapes(range.getLimit());
      if (!rows)
        rows = gather->getOperand(0);
      if (rows != gather->getOperand(0))
        return std::nullopt;
      weights.push_back(*view);
    }
    std::optional<WeightView> stack = WeightView::stack(weights);
    if (!stack)
      return std::nullopt;
    return ExpertLinear{rows, *stack, Value()};
  }

  onnx::TopKOp sort;
  /// The running sum that was proved to be one.
  Value ends;
};

} // namespace

bool moe::raiseGrouped(onnx::ReduceSumOp op, std::optional<Miss> &miss) {
  Operation *restored = getGather(op.getData());
  GroupedMatcher matcher;
  if (!restored || !matcher.matchSort(restored->getOperand(1)))
    return false;
  auto missed = [&](const Twine &reason) {
    miss = Miss{"grouped experts", reason.str()};
    return false;
  };
  Value ids = matcher.getIds();
  int64_t slots = getTensorType(ids).getShape().back();
  RankedTensorType summed = getTensorType(op.getData());
  std::optional<SmallVector<int64_t>> axes =
      isPresent(op.getAxes()) ? getIntegers(op.getAxes()) : std::nullopt;
  int64_t slotDim = summed.getRank() - 2;
  if (!axes || axes->size() != 1 || slotDim < 1 || op.getKeepdims() ||
      (axes->front() + summed.getRank()) % summed.getRank() != slotDim ||
      summed.getDimSize(slotDim) != slots)
    return missed("expected a sum over the " + Twine(slots) +
                  " chosen experts of a token");
  auto weighted = getProducer<onnx::MulOp>(restored->getOperand(0));
  ExpertsMatch match;
  std::optional<ExpertLinear> down;
  for (unsigned i = 0; weighted && i < 2 && !down; ++i) {
    match.weights = matcher.matchOrdered(weighted->getOperand(1 - i));
    if (match.weights)
      down = matcher.matchLinear(weighted->getOperand(i));
  }
  if (!down)
    return missed("the down projection is no product of each expert's rows");
  if (getTensorType(match.weights).getShape().back() != slots)
    return missed("expected " + Twine(slots) + " mixing weights for a token");
  std::optional<ActivationMatch> body = matchActivation(down->x);
  if (!body)
    return missed("the activation between the two products is not known");
  OpBuilder builder(op);
  Value rows;
  auto matchCut = [&](Value value) -> std::optional<ExpertLinear> {
    LastDimSlice slice = getLastDimSlice(value);
    std::optional<ExpertLinear> linear = matcher.matchLinear(slice.source);
    if (!linear || (rows && linear->x != rows))
      return std::nullopt;
    rows = linear->x;
    return cutOutputs(builder, *linear, slice);
  };
  if (body->gate && !(match.gate = matchCut(body->gate)))
    return missed("the gate is no product of each expert's rows");
  std::optional<ExpertLinear> up = matchCut(body->up);
  if (!up)
    return missed("the up projection is no product of each expert's rows");
  match.x = matcher.matchTokens(rows, slots);
  if (!match.x)
    return missed("the rows are not the tokens of the assignments");
  match.ids = ids;
  match.activation = body->activation;
  match.up = *up;
  match.down = *down;
  if (failed(buildExperts(op.getReduced(), match)))
    return missed("the shape of the result cannot be restored");
  return true;
}
