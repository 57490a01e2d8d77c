//===- NonMaxSuppression.cpp - lowering of NonMaxSuppression ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// For each batch and class: the best box that is left is taken, and all boxes
// that overlap it too much are struck out.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

class SuppressionBuilder {
public:
  SuppressionBuilder(onnx::NonMaxSuppressionOp op, Lowering &l)
      : op(op), l(l), t(l.tensors) {}

  LogicalResult build() {
    boxes = l.get(op.getBoxes());
    scores = l.get(op.getScores());
    if (Lowering::getType(boxes).getRank() != 3 ||
        Lowering::getType(scores).getRank() != 3)
      return l.error() << "expected boxes and scores of rank 3, got "
                       << Lowering::getType(op.getBoxes()) << " and "
                       << Lowering::getType(op.getScores());
    element = Lowering::getType(boxes).getElementType();
    OpFoldResult batches = t.size(boxes, 0), classes = t.size(scores, 1);
    boxCount = t.size(boxes, 1);
    t.checkEqual(t.size(scores, 0), batches,
                 "NonMaxSuppression: boxes and scores differ in their batch");
    t.checkEqual(t.size(scores, 2), boxCount,
                 "NonMaxSuppression: expected a score for each box");
    t.checkEqual(t.size(boxes, 2), t.builder.getIndexAttr(4),
                 "NonMaxSuppression: expected 4 numbers for a box");
    Value most = getMost();
    overlap = readNumber(op.getIouThreshold(), 0);
    if (Lowering::has(op.getScoreThreshold()))
      least = readNumber(op.getScoreThreshold(), 0);

    Type i64 = t.builder.getI64Type();
    OpFoldResult room = t.mulSizes(t.mulSizes(batches, classes), most);
    Value selected = t.empty({room, t.builder.getIndexAttr(3)}, i64);
    SmallVector<Value> found =
        buildLoops(t, {batches, classes}, {selected, t.index(0)},
                   [&](TensorBuilder &b, ValueRange at, ValueRange carried) {
                     return selectBoxes(b, at[0], at[1], most, carried);
                   });
    l.set(op.getSelectedIndices(),
          t.slice(found[0], 0, t.builder.getIndexAttr(0), found[1]));
    return success();
  }

private:
  /// How many boxes a class can have.
  Value getMost() {
    if (!Lowering::has(op.getMaxOutputBoxesPerClass()))
      return t.index(0);
    Value limit = t.convert(readFirst(op.getMaxOutputBoxesPerClass()),
                            t.builder.getIndexType());
    return t.min(t.max(limit, t.index(0)), t.index(boxCount));
  }

  Value readFirst(Value original) {
    Value tensor = l.get(original);
    return t.extract(
        tensor,
        SmallVector<Value>(Lowering::getType(tensor).getRank(), t.index(0)));
  }

  Value readNumber(Value original, double otherwise) {
    return Lowering::has(original) ? t.convert(readFirst(original), element)
                                   : t.constant(element, otherwise);
  }

  SmallVector<Value> selectBoxes(TensorBuilder &b, Value batch, Value category,
                                 Value most, ValueRange carried) {
    Value isLeft = b.generate(
        {boxCount}, b.builder.getI1Type(),
        [&](TensorBuilder &inner, ValueRange at) {
          if (!least)
            return inner.constant(inner.builder.getI1Type(), 1);
          return inner.compare(
              arith::CmpIPredicate::sgt, arith::CmpFPredicate::OGT,
              inner.extract(scores, {batch, category, at[0]}), least);
        });
    SmallVector<Value> state(carried);
    state.push_back(isLeft);
    SmallVector<Value> result = buildLoops(
        b, {OpFoldResult(most)}, state,
        [&](TensorBuilder &inner, ValueRange, ValueRange now) {
          Value best = findBest(inner, batch, category, now[2]);
          Value isFound = compareIndex(inner, arith::CmpIPredicate::sge, best,
                                       inner.index(0));
          return buildIf(
              inner, isFound,
              [&](TensorBuilder &branch) -> SmallVector<Value> {
                Value written =
                    write(branch, now[0], now[1], {batch, category, best});
                return {written, branch.add(now[1], branch.index(1)),
                        strikeOut(branch, batch, best, now[2])};
              },
              [&](TensorBuilder &) { return SmallVector<Value>(now); });
        });
    result.pop_back();
    return result;
  }

  /// The box with the highest score, the first one among equals; -1 if none is
  /// left.
  Value findBest(TensorBuilder &b, Value batch, Value category, Value isLeft) {
    Value none = b.index(-1);
    return buildLoops(
               b, {boxCount}, {none, b.constant(element, 0)},
               [&](TensorBuilder &inner, ValueRange at,
                   ValueRange best) -> SmallVector<Value> {
                 Value score = inner.extract(scores, {batch, category, at[0]});
                 Value isFirst = compareIndex(inner, arith::CmpIPredicate::slt,
                                              best[0], inner.index(0));
                 Value isBetter =
                     inner.compare(arith::CmpIPredicate::sgt,
                                   arith::CmpFPredicate::OGT, score, best[1]);
                 Value take = andAll(
                     inner, {inner.extract(isLeft, at[0]),
                             arith::OrIOp::create(inner.builder, inner.loc,
                                                  isFirst, isBetter)});
                 return {inner.select(take, at[0], best[0]),
                         inner.select(take, score, best[1])};
               })
        .front();
  }

  Value write(TensorBuilder &b, Value selected, Value row,
              ArrayRef<Value> indices) {
    for (auto [column, index] : llvm::enumerate(indices))
      selected = tensor::InsertOp::create(
          b.builder, b.loc, b.convert(index, b.builder.getI64Type()), selected,
          ValueRange{row, b.index(column)});
    return selected;
  }

  Value strikeOut(TensorBuilder &b, Value batch, Value best, Value isLeft) {
    return buildLoops(
               b, {boxCount}, isLeft,
               [&](TensorBuilder &inner, ValueRange at,
                   ValueRange carried) -> SmallVector<Value> {
                 Value isBest =
                     compareIndex(inner, arith::CmpIPredicate::eq, at[0], best);
                 Value isOut =
                     arith::OrIOp::create(inner.builder, inner.loc, isBest,
                                          overlaps(inner, batch, at[0], best));
                 Value no = inner.constant(inner.builder.getI1Type(), 0);
                 Value next =
                     inner.select(isOut, no, inner.extract(carried[0], at[0]));
                 return {tensor::InsertOp::create(inner.builder, inner.loc,
                                                  next, carried[0], at[0])};
               })
        .front();
  }

  /// Lower and upper end of a box in one dimension.
  std::pair<Value, Value> getEnds(TensorBuilder &b, Value batch, Value box,
                                  int64_t dim) {
    auto read = [&](int64_t i) {
      return b.extract(boxes, {batch, box, b.index(i)});
    };
    Value first = read(dim), second = read(dim + 2);
    if (!op.getCenterPointBox())
      return {b.min(first, second), b.max(first, second)};
    Value half = b.mul(second, b.constant(element, 0.5));
    return {b.sub(first, half), b.add(first, half)};
  }

  /// Whether intersection over union is above the threshold.
  Value overlaps(TensorBuilder &b, Value batch, Value x, Value y) {
    Value common, areaX, areaY, zero = b.constant(element, 0);
    auto times = [&](Value product, Value length) {
      return product ? b.mul(product, length) : length;
    };
    auto isAbove = [&](Value v, Value bound) {
      return b.compare(arith::CmpIPredicate::sgt, arith::CmpFPredicate::OGT, v,
                       bound);
    };
    SmallVector<Value> conditions;
    for (int64_t dim : {0, 1}) {
      auto [lowX, highX] = getEnds(b, batch, x, dim);
      auto [lowY, highY] = getEnds(b, batch, y, dim);
      Value length = b.sub(b.min(highX, highY), b.max(lowX, lowY));
      conditions.push_back(isAbove(length, zero));
      common = times(common, length);
      areaX = times(areaX, b.sub(highX, lowX));
      areaY = times(areaY, b.sub(highY, lowY));
    }
    Value both = b.sub(b.add(areaX, areaY), common);
    for (Value area : {common, areaX, areaY, both})
      conditions.push_back(isAbove(area, zero));
    conditions.push_back(isAbove(b.div(common, both), overlap));
    return andAll(b, conditions);
  }

  onnx::NonMaxSuppressionOp op;
  Lowering &l;
  TensorBuilder &t;
  Value boxes, scores, overlap;
  Value least; ///< Null if every score will do.
  Type element;
  OpFoldResult boxCount;
};

LogicalResult lowerNonMaxSuppression(onnx::NonMaxSuppressionOp op,
                                     Lowering &l) {
  return SuppressionBuilder(op, l).build();
}

} // namespace

void moe::addNonMaxSuppressionLowering(LoweringTable &table) {
  table.add(lowerNonMaxSuppression);
}
