//===- TextFeatures.cpp - lowering of TfIdfVectorizer -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

using namespace mlir;
using namespace mlir::moe;

/// The weights of all columns are a constant of the code.
static constexpr int64_t kMaxColumns = int64_t(1) << 24;

namespace {

/// A sequence of tokens that is counted.
struct Gram {
  SmallVector<int64_t> tokens;
  int64_t column = 0; ///< Of the result.
  double weight = 1;
};

/// The grams of the pool whose length is asked for. Entry i of `ngram_counts`
/// is where those of length i + 1 begin in the pool.
FailureOr<SmallVector<Gram>> getGrams(onnx::TfIdfVectorizerOp op, Lowering &l) {
  ArrayRef<int64_t> starts = op.getNgramCounts();
  ArrayRef<int64_t> columns = op.getNgramIndexes();
  ArrayRef<int64_t> pool = op.getPoolInt64s().value_or(ArrayRef<int64_t>());
  ArrayRef<float> weights = op.getWeights().value_or(ArrayRef<float>());
  int64_t least = op.getMinGramLength(), most = op.getMaxGramLength();
  if (!op.getPoolInt64s() || op.getPoolStrings())
    return l.error() << "expected a pool of integers";
  SmallVector<Gram> grams;
  size_t number = 0; // Of the gram in the whole pool.
  for (auto [i, start] : llvm::enumerate(starts)) {
    int64_t end = i + 1 < starts.size() ? starts[i + 1] : int64_t(pool.size());
    int64_t length = i + 1;
    if (start < 0 || end < start || end > int64_t(pool.size()))
      return l.error() << "expected rising 'ngram_counts' within a pool of "
                       << pool.size() << " tokens, got " << start << " and "
                       << end;
    for (int64_t first = start; first + length <= end; first += length) {
      if (number >= columns.size() || columns[number] < 0)
        return l.error() << "expected an entry of 'ngram_indexes' for every "
                            "sequence in the pool, got "
                         << columns.size();
      Gram gram;
      gram.tokens.assign(pool.begin() + first, pool.begin() + first + length);
      gram.column = columns[number];
      if (number < weights.size())
        gram.weight = weights[number];
      ++number;
      if (length >= least && length <= most)
        grams.push_back(gram);
    }
  }
  return grams;
}

/// A constant vector or matrix of i64.
Value buildConstant(TensorBuilder &t, ArrayRef<int64_t> values,
                    ArrayRef<int64_t> shape) {
  auto type = RankedTensorType::get(shape, t.builder.getI64Type());
  return arith::ConstantOp::create(t.builder, t.loc,
                                   DenseElementsAttr::get(type, values));
}

class CountBuilder {
public:
  CountBuilder(onnx::TfIdfVectorizerOp op, Lowering &l)
      : op(op), l(l), t(l.tensors) {}

  LogicalResult build() {
    FailureOr<SmallVector<Gram>> grams = getGrams(op, l);
    if (failed(grams))
      return failure();
    StringRef mode = op.getMode();
    int64_t rank = Lowering::getType(op.getX()).getRank();
    if (!llvm::is_contained({"TF", "IDF", "TFIDF"}, mode) || rank < 1 ||
        rank > 2 || int64_t(op.getMaxSkipCount()) < 0)
      return l.error() << "expected 'mode' TF, IDF or TFIDF and an input of "
                          "rank 1 or 2, got '"
                       << mode << "' and rank " << rank;
    int64_t width = 0;
    for (int64_t column : op.getNgramIndexes())
      width = std::max(width, column);
    if (width >= kMaxColumns)
      return l.error() << "expected 'ngram_indexes' below " << kMaxColumns
                       << ", got " << width;
    ++width;
    tokens = l.get(op.getX());
    if (rank == 1)
      tokens = t.insertUnit(tokens, 0);
    Value counts = count(*grams, width);
    Value result = weigh(counts, *grams, width);
    l.set(op.getY(), rank == 1 ? t.dropUnit(result, 0) : result);
    return success();
  }

private:
  /// rows x columns: how often each gram occurs in a row.
  Value count(ArrayRef<Gram> grams, int64_t width) {
    Type f32 = t.builder.getF32Type();
    OpFoldResult rows = t.size(tokens, 0);
    Value zeros =
        t.fill(t.constant(f32, 0), {rows, t.builder.getIndexAttr(width)});
    if (grams.empty())
      return zeros;
    int64_t longest = 1, number = grams.size();
    for (const Gram &gram : grams)
      longest = std::max<int64_t>(longest, gram.tokens.size());
    SmallVector<int64_t> lengths, columns, table(number * longest, 0);
    for (auto [i, gram] : llvm::enumerate(grams)) {
      lengths.push_back(gram.tokens.size());
      columns.push_back(gram.column);
      llvm::copy(gram.tokens, table.begin() + i * longest);
    }
    Value gramTokens = buildConstant(t, table, {number, longest});
    Value gramLengths = buildConstant(t, lengths, {number});
    Value gramColumns = buildConstant(t, columns, {number});
    Value rowLength = t.index(t.size(tokens, 1));
    // No two tokens are further apart than a row is long.
    int64_t most = std::min<int64_t>(op.getMaxSkipCount(), kMaxColumns) + 1;
    Value distances = t.min(t.index(most), t.max(rowLength, t.index(1)));
    auto toIndex = [](TensorBuilder &b, Value tensor, Value place) {
      return b.convert(b.extract(tensor, place), b.builder.getIndexType());
    };
    return buildLoops(
               t,
               {rows, t.builder.getIndexAttr(number), OpFoldResult(distances)},
               zeros,
               [&](TensorBuilder &b, ValueRange at,
                   ValueRange carried) -> SmallVector<Value> {
                 Value length = toIndex(b, gramLengths, at[1]);
                 Value distance = b.add(at[2], b.index(1));
                 // A single token has no distance to the next one.
                 Value isSingle = compareIndex(b, arith::CmpIPredicate::eq,
                                               length, b.index(1));
                 Value isAgain = compareIndex(b, arith::CmpIPredicate::ne,
                                              at[2], b.index(0));
                 Value reach = b.mul(b.sub(length, b.index(1)), distance);
                 Value places = b.max(b.sub(rowLength, reach), b.index(0));
                 places = b.select(andAll(b, {isSingle, isAgain}), b.index(0),
                                   places);
                 Value found = countMatches(b, at[0], at[1], gramTokens, length,
                                            distance, places);
                 SmallVector<Value> place = {at[0],
                                             toIndex(b, gramColumns, at[1])};
                 Value sum = b.add(b.extract(carried[0], place), found);
                 return {tensor::InsertOp::create(b.builder, b.loc, sum,
                                                  carried[0], place)};
               })
        .front();
  }

  /// The number of places in a row at which a gram begins.
  Value countMatches(TensorBuilder &outer, Value row, Value gram,
                     Value gramTokens, Value length, Value distance,
                     Value places) {
    Type i1 = outer.builder.getI1Type(), f32 = outer.builder.getF32Type();
    Type i64 = outer.builder.getI64Type();
    return buildLoops(outer, {OpFoldResult(places)}, outer.constant(f32, 0),
                      [&](TensorBuilder &b, ValueRange start,
                          ValueRange sum) -> SmallVector<Value> {
                        Value matches =
                            buildLoops(
                                b, {OpFoldResult(length)}, b.constant(i1, 1),
                                [&](TensorBuilder &inner, ValueRange i,
                                    ValueRange all) -> SmallVector<Value> {
                                  Value place = inner.add(
                                      start[0], inner.mul(i[0], distance));
                                  Value token = inner.convert(
                                      inner.extract(tokens, {row, place}), i64);
                                  Value isEqual = compareIndex(
                                      inner, arith::CmpIPredicate::eq, token,
                                      inner.extract(gramTokens, {gram, i[0]}));
                                  return {andAll(inner, {all[0], isEqual})};
                                })
                                .front();
                        return {b.add(sum[0], b.convert(matches, f32))};
                      })
        .front();
  }

  Value weigh(Value counts, ArrayRef<Gram> grams, int64_t width) {
    if (op.getMode() == "TF")
      return counts;
    Type f32 = t.builder.getF32Type();
    SmallVector<float> weights(width, 1.0f);
    for (const Gram &gram : grams)
      weights[gram.column] = gram.weight;
    auto type = RankedTensorType::get({width}, f32);
    Value vector = arith::ConstantOp::create(
        t.builder, t.loc, DenseElementsAttr::get(type, ArrayRef(weights)));
    bool isBinary = op.getMode() == "IDF";
    return t.map({counts, vector}, f32, [&](TensorBuilder &b, ValueRange v) {
      Value number = v[0], one = b.constant(f32, 1);
      return b.mul(isBinary ? b.min(number, one) : number, v[1]);
    });
  }

  onnx::TfIdfVectorizerOp op;
  Lowering &l;
  TensorBuilder &t;
  Value tokens;
};

LogicalResult lowerTfIdfVectorizer(onnx::TfIdfVectorizerOp op, Lowering &l) {
  return CountBuilder(op, l).build();
}

} // namespace

void moe::addTextFeatureLowerings(LoweringTable &table) {
  table.add(lowerTfIdfVectorizer);
}
