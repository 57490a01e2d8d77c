//===- Attention.cpp - lowering of Attention and MultiHeadAttention -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Attention.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

/// `past` and `tensor`, both B x G x T x D, one after the other.
Value appendToPast(TensorBuilder &t, Value past, Value tensor) {
  return past ? t.concat({past, tensor}, 2) : tensor;
}

/// The mask with the last dimension filled up to `extent` with entries that
/// exclude keys.
Value padMask(TensorBuilder &t, Value mask, OpFoldResult extent) {
  Type element = getElement(mask);
  Value excluded = isa<FloatType>(element) ? t.extreme(element, /*high=*/false)
                                           : t.constant(element, 0);
  Sizes own = t.sizes(mask), full = own;
  full.back() = extent;
  int64_t rank = own.size();
  return tensor::InsertSliceOp::create(
      t.builder, t.loc, mask, t.fill(excluded, full),
      Sizes(rank, t.builder.getIndexAttr(0)), own,
      Sizes(rank, t.builder.getIndexAttr(1)));
}

/// Which keys a query of `Attention` sees.
class AttentionMask {
public:
  AttentionMask(onnx::AttentionOp op, Lowering &l, Value query, Value past)
      : op(op), t(l.tensors), mask(l.get(op.getAttnMask())),
        lengths(l.get(op.getNonpadKvSeqlen())) {
    left = op.getLeftWindowSize();
    right = op.getRightWindowSize();
    queries = t.index(t.size(query, 2));
    offset = past ? t.index(t.size(past, 2)) : t.index(0);
  }

  Value apply(Value scores) {
    SmallVector<Value> operands;
    if (mask) {
      bool mayBeShorter =
          lengths ||
          (!ShapedType::isDynamic(Lowering::getType(mask).getShape().back()) &&
           Lowering::getType(mask).getShape().back() !=
               Lowering::getType(scores).getShape().back());
      operands.push_back(mayBeShorter ? padMask(t, mask, t.size(scores, 3))
                                      : mask);
    }
    bool isLimited = op.getIsCausal() || left >= 0 || right >= 0 || lengths;
    if (!mask && !isLimited)
      return scores;
    return mapScores(t, scores, operands,
                     [&](TensorBuilder &inner, Value score, ValueRange extra,
                         ValueRange position) {
                       return applyToScore(inner, score, extra, position);
                     });
  }

private:
  Value applyToScore(TensorBuilder &inner, Value score, ValueRange extra,
                     ValueRange position) {
    using arith::CmpIPredicate;
    Value key = position[3], first = offset;
    SmallVector<Value> conditions;
    if (lengths) {
      Value length = inner.convert(inner.extract(lengths, position[0]),
                                   inner.builder.getIndexType());
      conditions.push_back(
          compareIndex(inner, CmpIPredicate::slt, key, length));
      first = inner.sub(length, queries);
    }
    Value own = inner.add(position[2], first);
    if (op.getIsCausal())
      conditions.push_back(compareIndex(inner, CmpIPredicate::sle, key, own));
    if (left >= 0)
      conditions.push_back(compareIndex(inner, CmpIPredicate::sge, key,
                                        inner.sub(own, inner.index(left))));
    if (right >= 0)
      conditions.push_back(compareIndex(inner, CmpIPredicate::sle, key,
                                        inner.add(own, inner.index(right))));
    if (!extra.empty()) {
      if (extra[0].getType().isInteger(1))
        conditions.push_back(extra[0]);
      else
        score = inner.add(score, inner.convert(extra[0], score.getType()));
    }
    if (conditions.empty())
      return score;
    return inner.select(andAll(inner, conditions), score,
                        inner.extreme(score.getType(), /*high=*/false));
  }

  onnx::AttentionOp op;
  TensorBuilder &t;
  Value mask, lengths, queries, offset;
  /// Signed, -1 for no bound.
  int64_t left, right;
};

LogicalResult lowerAttention(onnx::AttentionOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value query = l.get(op.getQ()), key = l.get(op.getK()),
        value = l.get(op.getV());
  int64_t rank = Lowering::getType(query).getRank();
  if (rank != 3 && rank != 4)
    return l.error() << "expected operands of rank 3 or 4, got " << rank;
  if (rank == 3) {
    if (!op.getQNumHeads() || !op.getKvNumHeads())
      return l.error() << "expected 'q_num_heads' and 'kv_num_heads' for "
                          "operands of rank 3";
    query = splitHeads(t, query, *op.getQNumHeads());
    key = splitHeads(t, key, *op.getKvNumHeads());
    value = splitHeads(t, value, *op.getKvNumHeads());
  }
  FailureOr<double> scale = getScale(l, op.getScale(), query);
  if (failed(scale))
    return failure();
  Value past = l.get(op.getPastKey());
  key = appendToPast(t, past, key);
  value = appendToPast(t, l.get(op.getPastValue()), value);
  l.set(op.getPresentKey(), key);
  l.set(op.getPresentValue(), value);

  auto observe = [&](uint64_t mode, Value scores) {
    if (Lowering::has(op.getQkMatmulOutput()) &&
        op.getQkMatmulOutputMode() == mode)
      l.set(op.getQkMatmulOutput(),
            t.cast(scores, getElement(op.getQkMatmulOutput())));
  };
  Value products = buildScores(t, query, key);
  double softcap = op.getSoftcap().convertToDouble();
  if (op.getQkMatmulOutputMode() == 0)
    observe(0, scaleScores(t, products, *scale, /*softcap=*/0.0));
  Value scores = scaleScores(t, products, *scale, softcap);
  observe(1, scores);
  scores = AttentionMask(op, l, query, past).apply(scores);
  observe(2, scores);
  Value probabilities = buildProbabilities(t, scores, Value());
  observe(3, probabilities);
  Value result = buildWeightedValues(t, probabilities, value);
  l.set(op.getY(), rank == 3 ? mergeHeads(t, result) : result);
  return success();
}

/// Part `[offset, offset + extent)` of `bias`, added to the last dimension.
Value addBias(TensorBuilder &t, Value tensor, Value bias,
              OpFoldResult &offset) {
  OpFoldResult extent = t.size(tensor, 2);
  Value part = t.slice(bias, 0, offset, extent);
  offset = t.addSizes(offset, extent);
  return t.map(
      {tensor, part}, getElement(tensor),
      [](TensorBuilder &inner, ValueRange v) { return inner.add(v[0], v[1]); });
}

LogicalResult lowerMultiHeadAttention(onnx::MicrosoftMultiHeadAttentionOp op,
                                      Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value query = l.get(op.getQuery()), key = l.get(op.getKey()),
        value = l.get(op.getValue());
  if (Lowering::has(op.getPastSequenceLength()) ||
      Lowering::has(op.getCacheIndirection()) || Lowering::has(op.getQk()))
    return l.error() << "expected no 'past_sequence_length', "
                        "'cache_indirection' and 'qk', which are not supported";
  if (!key || !value || Lowering::getType(query).getRank() != 3)
    return l.error() << "expected a query of rank 3 and separate keys and "
                        "values";
  int64_t heads = op.getNumHeads();
  bool isSplit = Lowering::getType(key).getRank() == 4;
  if (Value bias = l.get(op.getBias())) {
    if (isSplit)
      return l.error() << "expected keys of rank 3 with a bias";
    OpFoldResult offset = t.builder.getIndexAttr(0);
    query = addBias(t, query, bias, offset);
    key = addBias(t, key, bias, offset);
    value = addBias(t, value, bias, offset);
  }
  query = splitHeads(t, query, heads);
  if (!isSplit) {
    key = splitHeads(t, key, heads);
    value = splitHeads(t, value, heads);
  }
  FailureOr<double> scale = getScale(l, op.getScale(), query);
  if (failed(scale))
    return failure();
  Value past = l.get(op.getPastKey());
  key = appendToPast(t, past, key);
  value = appendToPast(t, l.get(op.getPastValue()), value);
  l.set(op.getPresentKey(), key);
  l.set(op.getPresentValue(), value);

  Value scores = scaleScores(t, buildScores(t, query, key), *scale,
                             /*softcap=*/0.0);
  Value offset = past ? t.index(t.size(past, 2)) : t.index(0);
  if (op.getUnidirectional())
    scores = mapScores(
        t, scores, {},
        [&](TensorBuilder &inner, Value score, ValueRange, ValueRange p) {
          Value isSeen = compareIndex(inner, arith::CmpIPredicate::sle, p[3],
                                      inner.add(p[2], offset));
          return inner.select(isSeen, score,
                              inner.extreme(score.getType(), false));
        });
  if (Value bias = l.get(op.getAttentionBias()))
    scores = mapScores(
        t, scores, bias,
        [](TensorBuilder &inner, Value score, ValueRange extra, ValueRange) {
          return inner.add(score, inner.convert(extra[0], score.getType()));
        });
  if (Value mask = l.get(op.getKeyPaddingMask())) {
    if (Lowering::getType(mask).getRank() != 2)
      return l.error() << "expected 'key_padding_mask' of rank 2, got "
                       << Lowering::getType(op.getKeyPaddingMask());
    double filter = op.getMaskFilterValue().convertToDouble();
    mask = t.insertUnit(t.insertUnit(mask, 1), 1);
    scores = mapScores(
        t, scores, mask,
        [&](TensorBuilder &inner, Value score, ValueRange extra, ValueRange) {
          Value isSeen = inner.convert(extra[0], inner.builder.getI1Type());
          Value lowered =
              inner.add(score, inner.constant(score.getType(), filter));
          return inner.select(isSeen, score, lowered);
        });
  }
  Value result =
      buildWeightedValues(t, buildProbabilities(t, scores, Value()), value);
  l.set(op.getOutput(), mergeHeads(t, result));
  return success();
}

} // namespace

void moe::addAttentionLowerings(LoweringTable &table) {
  table.add(lowerAttention);
  table.add(lowerMultiHeadAttention);
  addRotaryLowerings(table);
  addGroupQueryAttentionLowering(table);
}
