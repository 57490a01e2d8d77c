//===- GroupMatch.cpp - routers that choose groups first --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   g    = group score of choice, reshaped to T x groups x experts per group
//   best = ids of the largest g
//   mask = 1 where the group of an expert is in best
//   out  = where(mask, choice, 0 or -inf)
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/RouterMatch.h"

using namespace mlir;
using namespace mlir::moe;

/// The scatter of ones that marks the kept groups behind a mask of experts.
static onnx::ScatterElementsOp findMarks(Value mask, bool &inverted) {
  while (Operation *op = skipCasts(mask).getDefiningOp()) {
    if (auto scatter = dyn_cast<onnx::ScatterElementsOp>(op))
      return scatter;
    if (isa<onnx::NotOp>(op))
      inverted = !inverted;
    else if (!isa<onnx::ExpandOp, onnx::TileOp>(op))
      return {};
    mask = op->getOperand(0);
  }
  return {};
}

/// The score of each group: its best entry, or its two best added up.
static std::optional<std::pair<GroupScore, Value>>
matchGroupScore(Value scores) {
  Operation *op = skipReshapes(scores).getDefiningOp();
  if (auto max = dyn_cast_or_null<onnx::ReduceMaxOp>(op))
    return std::make_pair(GroupScore::Max, max.getData());
  if (auto sum = dyn_cast_or_null<onnx::ReduceSumOp>(op)) {
    auto best = getProducer<onnx::TopKOp>(sum.getData());
    if (best && skipReshapes(sum.getData()) == best.getValues() &&
        getNumber(best.getK()) == 2.0)
      return std::make_pair(GroupScore::Top2Sum, best.getX());
  }
  return std::nullopt;
}

std::optional<GroupMatch> moe::matchGroups(Value selection) {
  auto where = getProducer<onnx::WhereOp>(selection);
  if (!where)
    return std::nullopt;
  bool inverted = false;
  onnx::ScatterElementsOp marks = findMarks(where.getCondition(), inverted);
  if (!marks || !isFilledWith(marks.getUpdates(), 1) ||
      !isFilledWith(marks.getData(), 0))
    return std::nullopt;
  Value choice = inverted ? where.getY() : where.getX();
  Value fill = inverted ? where.getX() : where.getY();
  std::optional<double> masked = getNumber(fill);
  bool isZero = masked == 0.0;
  if (!masked || (!isZero && !(std::isinf(*masked) && *masked < 0)))
    return std::nullopt;
  auto best = getProducer<onnx::TopKOp>(marks.getIndices());
  if (!best || skipReshapes(marks.getIndices()) != best.getIndices() ||
      !best.getLargest())
    return std::nullopt;
  auto scores = matchGroupScore(best.getX());
  if (!scores || skipReshapes(scores->second) != skipReshapes(choice))
    return std::nullopt;
  RankedTensorType grouped = getTensorType(scores->second);
  std::optional<double> keep = getNumber(best.getK());
  if (grouped.getRank() < 3 || !keep)
    return std::nullopt;
  int64_t count = grouped.getDimSize(grouped.getRank() - 2);
  return GroupMatch{
      choice,
      GroupsAttr::get(where.getContext(), count, static_cast<int64_t>(*keep),
                      scores->first,
                      isZero ? GroupMask::Zero : GroupMask::NegativeInfinity)};
}
