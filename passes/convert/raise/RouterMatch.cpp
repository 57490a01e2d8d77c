//===- RouterMatch.cpp - routers as attributes ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/RouterMatch.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Whether a reduction runs over the last dimension and keeps it.
template <typename Op> bool isOverLastDim(Op op) {
  auto axes =
      isPresent(op.getAxes()) ? getIntegers(op.getAxes()) : std::nullopt;
  int64_t rank = getTensorType(op.getData()).getRank();
  return axes && axes->size() == 1 && (axes->front() + rank) % rank == rank - 1;
}

/// The divisor of normalised weights: their sum, shifted or clamped.
bool matchDivisor(Value divisor, Value numerator, RouterMatch &match) {
  Value sum = skipCasts(divisor);
  match.normalize = Normalize::Sum;
  if (auto expand = sum.getDefiningOp<onnx::ExpandOp>())
    sum = skipCasts(expand.getInput());
  if (auto add = sum.getDefiningOp<onnx::AddOp>()) {
    for (unsigned i = 0; i < 2; ++i)
      if (std::optional<double> number = getNumber(add->getOperand(i))) {
        match.epsilon = *number;
        sum = skipCasts(add->getOperand(1 - i));
        break;
      }
  } else if (auto max = sum.getDefiningOp<onnx::MaxOp>();
             max && max->getNumOperands() == 2) {
    for (unsigned i = 0; i < 2; ++i)
      if (std::optional<double> number = getNumber(max->getOperand(i))) {
        match.normalize = Normalize::ClampedSum;
        match.epsilon = *number;
        sum = skipCasts(max->getOperand(1 - i));
        break;
      }
  } else if (auto clip = sum.getDefiningOp<onnx::ClipOp>()) {
    std::optional<double> low =
        isPresent(clip.getMin()) ? getNumber(clip.getMin()) : std::nullopt;
    if (!low || isPresent(clip.getMax()))
      return false;
    match.normalize = Normalize::ClampedSum;
    match.epsilon = *low;
    sum = skipCasts(clip.getInput());
  }
  auto isOfNumerator = [&](auto reduce) {
    return reduce && isOverLastDim(reduce) &&
           skipCasts(reduce.getData()) == skipCasts(numerator);
  };
  if (isOfNumerator(sum.getDefiningOp<onnx::ReduceSumOp>()))
    return true;
  if (match.normalize != Normalize::Sum || match.epsilon != 0)
    return false;
  if (isOfNumerator(sum.getDefiningOp<onnx::ReduceL1Op>())) {
    match.normalize = Normalize::Norm1;
    return true;
  }
  match.normalize = Normalize::Norm2;
  return isOfNumerator(sum.getDefiningOp<onnx::ReduceL2Op>());
}

/// A vector with a number for each expert, gathered by `ids`.
Value matchExpertScale(Value value, Value ids) {
  Operation *op = skipCasts(value).getDefiningOp();
  auto gather = dyn_cast_or_null<onnx::GatherOp>(op);
  auto gatherND = dyn_cast_or_null<onnx::GatherNDOp>(op);
  if ((!gather || gather.getAxis() != 0) &&
      (!gatherND || gatherND.getBatchDims() != 0 ||
       getTensorType(gatherND.getIndices()).getShape().back() != 1))
    return {};
  Value data = op->getOperand(0);
  RankedTensorType type = getTensorType(data);
  return type.getRank() == 1 && isa<FloatType>(type.getElementType()) &&
                 skipCasts(op->getOperand(1)) == ids
             ? data
             : Value();
}

/// Takes scale and normalisation off `weights`; returns what was chosen.
std::optional<Value> matchWeights(Value weights, Value ids, RouterMatch &match,
                                  std::string &reason) {
  weights = skipCasts(weights);
  while (true) {
    if (auto mul = weights.getDefiningOp<onnx::MulOp>()) {
      bool scaled = false;
      for (unsigned i = 0; i < 2 && !scaled; ++i)
        if (std::optional<double> number = getNumber(mul->getOperand(i))) {
          match.scale *= *number;
          weights = skipCasts(mul->getOperand(1 - i));
          scaled = true;
        }
      for (unsigned i = 0; i < 2 && !scaled && !match.expertScale; ++i)
        if (Value scale = matchExpertScale(mul->getOperand(i), ids)) {
          match.expertScale = scale;
          weights = skipCasts(mul->getOperand(1 - i));
          scaled = true;
        }
      if (scaled && match.normalize == Normalize::None)
        continue;
      reason = "the weights are multiplied by something that is no number";
      return std::nullopt;
    }
    if (auto div = weights.getDefiningOp<onnx::DivOp>()) {
      std::optional<double> number = getNumber(div.getB());
      if (number && *number != 0 && match.normalize == Normalize::None) {
        match.scale /= *number;
        weights = skipCasts(div.getA());
        continue;
      }
      if (match.normalize != Normalize::None ||
          !matchDivisor(div.getB(), div.getA(), match)) {
        reason = "the weights are divided by something other than their sum";
        return std::nullopt;
      }
      weights = skipCasts(div.getA());
      continue;
    }
    return weights;
  }
}

/// The score function behind `value` and its logits.
std::pair<Score, Value> matchScore(Value value) {
  Value plain = skipCasts(value);
  if (auto softmax = plain.getDefiningOp<onnx::SoftmaxOp>()) {
    int64_t rank = getTensorType(plain).getRank();
    if ((softmax.getAxis() + rank) % rank == rank - 1)
      return {Score::Softmax, softmax.getInput()};
  } else if (auto sigmoid = plain.getDefiningOp<onnx::SigmoidOp>()) {
    return {Score::Sigmoid, sigmoid.getX()};
  } else if (auto sqrt = plain.getDefiningOp<onnx::SqrtOp>()) {
    if (auto softplus = getProducer<onnx::SoftplusOp>(sqrt.getX()))
      return {Score::SqrtSoftplus, softplus.getX()};
  }
  return {Score::Identity, plain};
}

/// Takes a bias for the choice off `choice`.
Value matchSelectBias(Value choice, int64_t experts, RouterMatch &match) {
  auto add = getProducer<onnx::AddOp>(choice);
  if (!add)
    return choice;
  for (unsigned i = 0; i < 2; ++i) {
    Value bias = skipReshapes(add->getOperand(i));
    RankedTensorType type = getTensorType(bias);
    if (type.getRank() == 1 && type.getDimSize(0) == experts) {
      match.selectBias = bias;
      return add->getOperand(1 - i);
    }
  }
  return choice;
}

/// The largest entries of a row, by TopK or, for one, by ArgMax.
struct Largest {
  Value from, ids, values;
  int64_t count = 0;
};

std::optional<Largest> matchLargest(Value ids) {
  auto isLast = [](int64_t axis, Value value) {
    int64_t rank = getTensorType(value).getRank();
    return getAxisFromFront(axis, rank) == rank - 1;
  };
  if (auto topK = ids.getDefiningOp<onnx::TopKOp>()) {
    std::optional<double> k = getNumber(topK.getK());
    if (!k || ids != topK.getIndices() || !topK.getLargest() ||
        !isLast(topK.getAxis(), topK.getX()))
      return std::nullopt;
    return Largest{topK.getX(), ids, topK.getValues(),
                   static_cast<int64_t>(*k)};
  }
  auto best = ids.getDefiningOp<onnx::ArgMaxOp>();
  if (!best || best.getSelectLastIndex() ||
      !isLast(best.getAxis(), best.getData()))
    return std::nullopt;
  return Largest{best.getData(), ids, Value(), 1};
}

/// Whether `value` is the entries of `largest` themselves.
bool isValuesOf(Value value, const Largest &largest) {
  value = skipCasts(value);
  if (largest.values && value == largest.values)
    return true;
  auto max = value.getDefiningOp<onnx::ReduceMaxOp>();
  return largest.count == 1 && max && isOverLastDim(max) &&
         skipCasts(max.getData()) == skipCasts(largest.from);
}

/// Takes `cap * tanh(z / cap)` off the logits.
void takeSoftcap(RouterMatch &match) {
  auto mul = skipCasts(match.logits).getDefiningOp<onnx::MulOp>();
  for (unsigned i = 0; mul && i < 2; ++i) {
    std::optional<double> cap = getNumber(mul->getOperand(i));
    auto tanh = skipCasts(mul->getOperand(1 - i)).getDefiningOp<onnx::TanhOp>();
    auto div = cap && tanh
                   ? skipCasts(tanh.getInput()).getDefiningOp<onnx::DivOp>()
                   : onnx::DivOp();
    if (!div || getNumber(div.getB()) != cap)
      continue;
    match.softcap = cap;
    match.logits = div.getA();
    return;
  }
}

/// The logits of the chosen experts in a score of logits that are -inf for the
/// others.
Value matchKeptScore(Value chosen, const Largest &largest, Score &score) {
  auto gather = chosen.getDefiningOp<onnx::GatherElementsOp>();
  if (!gather || skipCasts(gather.getIndices()) != largest.ids)
    return {};
  Operation *op = skipCasts(gather.getData()).getDefiningOp();
  if (!isa_and_nonnull<onnx::SoftmaxOp, onnx::SigmoidOp>(op))
    return {};
  auto scatter =
      skipCasts(op->getOperand(0)).getDefiningOp<onnx::ScatterElementsOp>();
  if (!scatter || !isFilledWith(scatter.getData(), -HUGE_VAL) ||
      skipCasts(scatter.getIndices()) != largest.ids ||
      !isValuesOf(scatter.getUpdates(), largest))
    return {};
  score = isa<onnx::SoftmaxOp>(op) ? Score::Softmax : Score::Sigmoid;
  return largest.from;
}

} // namespace

std::optional<RouterMatch> moe::matchRouter(AssignOp op, std::string &reason) {
  RouterMatch match;
  Value ids = skipCasts(op.getIds());
  std::optional<Largest> largest = matchLargest(ids);
  if (!largest) {
    reason = "the ids are not those of the largest entries";
    return std::nullopt;
  }
  int64_t experts = op.getType().getExperts();
  if (getTensorType(largest->from).getShape().back() != experts) {
    reason = "the choice does not run over the experts";
    return std::nullopt;
  }
  match.topK = largest->count;
  std::optional<Value> chosen =
      matchWeights(op.getWeights(), ids, match, reason);
  if (!chosen)
    return std::nullopt;

  // The scores of the chosen logits.
  auto [late, lateArgument] = matchScore(*chosen);
  if (late != Score::Identity && isValuesOf(lateArgument, *largest)) {
    if (late == Score::SqrtSoftplus) {
      reason = "this score is not known after the choice";
      return std::nullopt;
    }
    match.order = RouteOrder::SelectThenScore;
    match.score = late;
    match.logits = largest->from;
    takeSoftcap(match);
    return match;
  }
  if (Value logits = matchKeptScore(*chosen, *largest, match.score)) {
    match.order = RouteOrder::SelectThenScore;
    match.logits = logits;
    takeSoftcap(match);
    return match;
  }

  // The chosen scores.
  Value choice = largest->from;
  if (std::optional<GroupMatch> groups = matchGroups(choice)) {
    match.groups = groups->groups;
    choice = groups->choice;
  }
  Value scores = matchSelectBias(choice, experts, match);
  std::tie(match.score, match.logits) = matchScore(scores);
  if (match.score == Score::Identity) {
    reason = "the score function is not known";
    return std::nullopt;
  }
  bool fromChoice = isValuesOf(*chosen, *largest);
  takeSoftcap(match);
  if (auto gather = chosen->getDefiningOp<onnx::GatherElementsOp>()) {
    if (skipCasts(gather.getIndices()) == ids &&
        skipCasts(gather.getData()) == skipCasts(scores))
      return match;
  }
  // Without a bias the chosen entries are the scores themselves; a group that
  // is masked by zero can be chosen only if nothing else is left.
  if (fromChoice && !match.selectBias)
    return match;
  reason = "the weights are not the scores of the chosen experts";
  return std::nullopt;
}
