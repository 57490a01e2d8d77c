//===- GroupQueryAttention.cpp - lowering of GroupQueryAttention ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The operator of com.microsoft with a cache of keys and values that it extends
// itself. Entry b of the batch has `seqlens_k[b] + 1` keys after the call; when
// all positions are new (a prompt), the rest of its row is padding at the
// right.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Attention.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

class GroupQueryAttentionBuilder {
public:
  GroupQueryAttentionBuilder(onnx::MicrosoftGroupQueryAttentionOp op,
                             Lowering &l)
      : op(op), l(l), t(l.tensors) {}

  LogicalResult build() {
    if (failed(checkSupported()) || failed(readOperands()) ||
        failed(readLengths()))
      return failure();
    if (Value weight = l.get(op.getQNormWeight()))
      query = normalizeHeads(query, weight);
    if (Value weight = l.get(op.getKNormWeight()))
      key = normalizeHeads(key, weight);
    FailureOr<double> scale = getScale(l, op.getScale(), query);
    if (failed(scale))
      return failure();
    if (op.getDoRotary()) {
      FailureOr<Value> turnedQuery = turn(query), turnedKey = turn(key);
      if (failed(turnedQuery) || failed(turnedKey))
        return failure();
      query = *turnedQuery;
      key = *turnedKey;
    }
    Value keys = extend(l.get(op.getPastKey()), key);
    Value values = extend(l.get(op.getPastValue()), value);
    l.set(op.getPresentKey(), keys);
    l.set(op.getPresentValue(), values);

    Value scores = scaleScores(t, buildScores(t, query, keys), *scale,
                               op.getSoftcap().convertToDouble());
    Value sink = l.get(op.getHeadSink());
    if (!sink && op.getSmoothSoftmax() == 1)
      sink = t.fill(t.constant(Lowering::getType(scores).getElementType(), 0),
                    {t.builder.getIndexAttr(op.getNumHeads())});
    Value probabilities = buildProbabilities(t, maskScores(scores), sink);
    l.set(op.getOutput(),
          mergeHeads(t, buildWeightedValues(t, probabilities, values)));
    return success();
  }

private:
  /// What the operator has and the compiler has not.
  LogicalResult checkSupported() {
    for (Value scale : {op.getKScale(), op.getVScale()})
      if (Lowering::has(scale))
        return l.error() << "expected no 'k_scale' and 'v_scale': quantised "
                            "caches of keys and values are not supported";
    if (op.getKQuantType() != "NONE" || op.getVQuantType() != "NONE")
      return l.error()
             << "expected 'k_quant_type' and 'v_quant_type' NONE, got "
             << op.getKQuantType() << " and " << op.getVQuantType();
    if (Lowering::has(op.getOutputQk()) || op.getQkOutput() != 0)
      return l.error() << "expected no result 'output_qk', which is not "
                          "supported";
    if (Lowering::has(op.getKey()) != Lowering::has(op.getValue()))
      return l.error() << "expected both or neither of 'key' and 'value'";
    if (!op.getCausal() && static_cast<int64_t>(op.getLocalWindowSize()) > 0)
      return l.error() << "expected no 'local_window_size' without 'causal'";
    return success();
  }

  /// Each head divided by its root mean square, times `weight`.
  Value normalizeHeads(Value heads, Value weight) {
    Type element = Lowering::getType(heads).getElementType();
    Type wide = getAccumulator(element);
    double epsilon = op.getQkNormEpsilon().convertToDouble();
    Value squares = t.map(heads, wide, [&](TensorBuilder &inner, ValueRange v) {
      Value x = inner.convert(v[0], wide);
      return inner.mul(x, x);
    });
    Value sum = t.reduce(squares, 3, Reduction::Sum, /*keep=*/true);
    Value count = t.convert(t.index(t.size(heads, 3)), wide);
    return t.map(
        {heads, sum, weight}, element, [&](TensorBuilder &inner, ValueRange v) {
          Value mean =
              inner.add(inner.div(v[1], count), inner.constant(wide, epsilon));
          Value root = math::SqrtOp::create(inner.builder, inner.loc, mean);
          Value x = inner.div(inner.convert(v[0], wide), root);
          return inner.convert(inner.mul(x, inner.convert(v[2], wide)),
                               element);
        });
  }

  LogicalResult readOperands() {
    Value packed = l.get(op.getQuery());
    int64_t heads = op.getNumHeads(), groups = op.getKvNumHeads();
    if (groups <= 0 || heads % groups != 0)
      return l.error() << "expected 'num_heads' divisible by 'kv_num_heads', "
                          "got "
                       << heads << " and " << groups;
    if (Lowering::getType(packed).getRank() != 3)
      return l.error() << "expected a query of rank 3, got "
                       << Lowering::getType(op.getQuery());
    if (Lowering::has(op.getKey())) {
      query = splitHeads(t, packed, heads);
      key = splitHeads(t, l.get(op.getKey()), groups);
      value = splitHeads(t, l.get(op.getValue()), groups);
      return success();
    }
    Value all = splitHeads(t, packed, heads + 2 * groups);
    auto take = [&](int64_t first, int64_t count) {
      return t.slice(all, 1, t.builder.getIndexAttr(first),
                     t.builder.getIndexAttr(count));
    };
    query = take(0, heads);
    key = take(heads, groups);
    value = take(heads + groups, groups);
    return success();
  }

  /// Lengths of the sequences, and that they fit.
  LogicalResult readLengths() {
    FailureOr<Sizes> totals = l.getElements(op.getTotalSequenceLength());
    if (failed(totals))
      return failure();
    if (totals->size() != 1)
      return l.error() << "expected one total sequence length, got "
                       << totals->size();
    total = t.index(totals->front());
    Value lengths = l.get(op.getSeqlensK());
    if (failed(checkIndices(l, op.getSeqlensK(), lengths, OpFoldResult(total))))
      return failure();
    newCount = t.index(t.size(query, 2));
    t.check(compareIndex(t, arith::CmpIPredicate::sle, newCount, total),
            "expected a total sequence length that includes the new tokens");
    Value isPrompt = compareIndex(t, arith::CmpIPredicate::eq, newCount, total);
    Sizes batch = {t.size(query, 0)};
    lengths = t.reshape(lengths, batch);
    Type index = t.builder.getIndexType();
    Value one = t.index(1), zero = t.index(0);
    keyCounts = t.map(lengths, index, [&](TensorBuilder &inner, ValueRange v) {
      return inner.add(inner.convert(v[0], index), one);
    });
    pastCounts =
        t.map(keyCounts, index, [&](TensorBuilder &inner, ValueRange v) {
          Value before = inner.max(inner.sub(v[0], newCount), zero);
          return inner.select(isPrompt, zero, before);
        });
    return success();
  }

  FailureOr<Value> turn(Value tensor) {
    Value cosines = l.get(op.getCosCache()), sines = l.get(op.getSinCache());
    if (!cosines || !sines)
      return l.error() << "expected caches of cosines and sines with "
                          "'do_rotary'";
    int64_t columns = Lowering::getType(cosines).getShape().back();
    int64_t headSize = Lowering::getType(tensor).getShape().back();
    if (ShapedType::isDynamic(columns) || ShapedType::isDynamic(headSize) ||
        2 * columns > headSize)
      return l.error() << "expected caches of at most " << headSize / 2
                       << " columns, got " << columns;
    Rotation rotation = {cosines, sines, 2 * columns,
                         op.getRotaryInterleaved() != 0, /*sequenceDim=*/2};
    OpFoldResult rows = t.size(cosines, 0);
    if (Value positions = l.get(op.getPositionIds())) {
      if (failed(checkIndices(l, op.getPositionIds(), positions, rows)))
        return failure();
      Value limit = t.index(rows);
      return rotate(
          t, tensor, rotation,
          [&](TensorBuilder &inner, Value b, Value s) -> SmallVector<Value> {
            return {wrapIndex(inner, inner.extract(positions, {b, s}), limit)};
          });
    }
    t.check(compareIndex(t, arith::CmpIPredicate::sle, total, t.index(rows)),
            "position beyond the cache of a rotary embedding");
    return rotate(
        t, tensor, rotation,
        [&](TensorBuilder &inner, Value b, Value s) -> SmallVector<Value> {
          return {inner.add(inner.extract(pastCounts, b), s)};
        });
  }

  /// The cache with the new rows behind the old ones of each batch entry.
  Value extend(Value past, Value added) {
    Sizes sizes = t.sizes(added);
    OpFoldResult zero = t.builder.getIndexAttr(0);
    OpFoldResult one = t.builder.getIndexAttr(1);
    SmallVector<OpFoldResult> strides(4, one);
    Type element = Lowering::getType(added).getElementType();
    OpFoldResult length = total;
    if (past) {
      RankedTensorType type = Lowering::getType(added);
      SmallVector<int64_t> shape(Lowering::getType(past).getShape());
      shape[1] = type.getDimSize(1);
      shape[3] = type.getDimSize(3);
      past = t.retype(past, RankedTensorType::get(shape, element));
      Value capacity = t.index(t.size(past, 2));
      // A cache of the window only is a ring once it is full.
      if (op.getSlidingWindowCache())
        t.check(compareIndex(t, arith::CmpIPredicate::sle, total, capacity),
                "a sequence longer than the sliding-window cache is not "
                "supported");
      length = t.max(capacity, total);
    }
    Sizes full = sizes;
    full[2] = length;
    Value cache = t.fill(t.constant(element, 0), full);
    if (past)
      cache = tensor::InsertSliceOp::create(t.builder, t.loc, past, cache,
                                            SmallVector<OpFoldResult>(4, zero),
                                            t.sizes(past), strides);
    Sizes entry = sizes;
    entry[0] = one;
    return buildLoops(
               t, {sizes[0]}, cache,
               [&](TensorBuilder &inner, ValueRange b,
                   ValueRange carried) -> SmallVector<Value> {
                 Sizes from = {b[0], zero, zero, zero};
                 Value place = inner.extract(pastCounts, b[0]);
                 Sizes to = {b[0], zero, place, zero};
                 Value rows = tensor::ExtractSliceOp::create(
                     inner.builder, inner.loc, added, from, entry, strides);
                 return {tensor::InsertSliceOp::create(inner.builder, inner.loc,
                                                       rows, carried[0], to,
                                                       entry, strides)};
               })
        .front();
  }

  Value maskScores(Value scores) {
    SmallVector<Value> operands;
    if (Value bias = l.get(op.getAttentionBias()))
      operands.push_back(bias);
    int64_t window = op.getLocalWindowSize();
    using arith::CmpIPredicate;
    return mapScores(
        t, scores, operands,
        [&](TensorBuilder &inner, Value score, ValueRange extra,
            ValueRange position) {
          Value key = position[3];
          Value own =
              inner.add(inner.extract(pastCounts, position[0]), position[2]);
          Value count = inner.extract(keyCounts, position[0]);
          SmallVector<Value> conditions = {
              compareIndex(inner, CmpIPredicate::slt, key, count)};
          if (op.getCausal())
            conditions.push_back(
                compareIndex(inner, CmpIPredicate::sle, key, own));
          if (window > 0)
            conditions.push_back(
                compareIndex(inner, CmpIPredicate::sgt, key,
                             inner.sub(own, inner.index(window))));
          if (!extra.empty())
            score = inner.add(score, inner.convert(extra[0], score.getType()));
          return inner.select(andAll(inner, conditions), score,
                              inner.extreme(score.getType(), /*high=*/false));
        });
  }

  onnx::MicrosoftGroupQueryAttentionOp op;
  Lowering &l;
  TensorBuilder &t;
  Value query, key, value;
  Value total, newCount;
  /// For each batch entry: keys after the call, and before it.
  Value keyCounts, pastCounts;
};

LogicalResult lowerGroupQueryAttention(onnx::MicrosoftGroupQueryAttentionOp op,
                                       Lowering &l) {
  return GroupQueryAttentionBuilder(op, l).build();
}

} // namespace

void moe::addGroupQueryAttentionLowering(LoweringTable &table) {
  table.add(lowerGroupQueryAttention);
}
