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
bool isOverLastDim(onnx::ReduceSumOp op) {
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
  } else if (auto clip = sum.getDefiningOp<onnx::ClipOp>()) {
    std::optional<double> low =
        isPresent(clip.getMin()) ? getNumber(clip.getMin()) : std::nullopt;
    if (!low || isPresent(clip.getMax()))
      return false;
    match.normalize = Normalize::ClampedSum;
    match.epsilon = *low;
    sum = skipCasts(clip.getInput());
  }
  auto reduce = sum.getDefiningOp<onnx::ReduceSumOp>();
  return reduce && isOverLastDim(reduce) &&
         skipCasts(reduce.getData()) == skipCasts(numerator);
}

/// Takes scale and normalisation off `weights`; returns what was chosen.
std::optional<Value> matchWeights(Value weights, RouterMatch &match,
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
      if (scaled && match.normalize == Normalize::None)
        continue;
      reason = "the weights are multiplied by something that is no number";
      return std::nullopt;
    }
    if (auto div = weights.getDefiningOp<onnx::DivOp>()) {
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

} // namespace

std::optional<RouterMatch> moe::matchRouter(AssignOp op, std::string &reason) {
  RouterMatch match;
  Value ids = skipCasts(op.getIds());
  auto topK = ids.getDefiningOp<onnx::TopKOp>();
  if (!topK || ids != topK.getIndices() || !topK.getLargest()) {
    reason = "the ids are not those of the largest entries";
    return std::nullopt;
  }
  RankedTensorType type = getTensorType(topK.getX());
  int64_t rank = type.getRank(), experts = op.getType().getExperts();
  std::optional<double> k = getNumber(topK.getK());
  if (!k || (topK.getAxis() + rank) % rank != rank - 1 ||
      type.getDimSize(rank - 1) != experts) {
    reason = "the choice does not run over the experts";
    return std::nullopt;
  }
  match.topK = static_cast<int64_t>(*k);
  std::optional<Value> chosen = matchWeights(op.getWeights(), match, reason);
  if (!chosen)
    return std::nullopt;

  // The scores of the chosen logits.
  auto [late, lateArgument] = matchScore(*chosen);
  if (late != Score::Identity && skipCasts(lateArgument) == topK.getValues()) {
    if (late == Score::SqrtSoftplus) {
      reason = "this score is not known after the choice";
      return std::nullopt;
    }
    match.order = RouteOrder::SelectThenScore;
    match.score = late;
    match.logits = topK.getX();
    return match;
  }

  // The chosen scores.
  Value choice = topK.getX();
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
  bool fromChoice = *chosen == topK.getValues();
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
