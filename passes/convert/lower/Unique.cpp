//===- Unique.cpp - lowering of Unique and ReverseSequence --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Finds the distinct rows of a matrix. Each row is compared with all others.
class UniqueBuilder {
public:
  UniqueBuilder(Lowering &l, Value rows, bool isUnsigned, bool sorted)
      : t(l.tensors), rows(rows), isUnsigned(isUnsigned), sorted(sorted),
        i64(t.builder.getI64Type()), count(t.size(rows, 0)) {}

  void build() {
    first = findFirst();
    places = findPlaces();
    Value zero = t.index(0);
    found = buildLoops(t, {count}, zero,
                       [&](TensorBuilder &b, ValueRange at,
                           ValueRange sum) -> SmallVector<Value> {
                         Value one = b.select(isFirst(b, at[0]), b.index(1),
                                              b.index(0));
                         return {b.add(sum[0], one)};
                       })
                .front();
  }

  /// The number of the first occurrence of each distinct row, in the order of
  /// the result.
  Value getIndices() {
    Value start = t.empty({OpFoldResult(found)}, i64);
    return buildLoops(t, {count}, start,
                      [&](TensorBuilder &b, ValueRange at, ValueRange carried) {
                        return buildIf(
                            b, isFirst(b, at[0]),
                            [&](TensorBuilder &branch) -> SmallVector<Value> {
                              return {tensor::InsertOp::create(
                                  branch.builder, branch.loc,
                                  branch.convert(at[0], i64), carried[0],
                                  read(branch, places, at[0]))};
                            },
                            [&](TensorBuilder &) {
                              return SmallVector<Value>(carried);
                            });
                      })
        .front();
  }

  /// For each row, the place of its like in the result.
  Value getInverse() {
    return t.generate({count}, i64, [&](TensorBuilder &b, ValueRange at) {
      return b.extract(places, read(b, first, at[0]));
    });
  }

  /// How often each distinct row occurs.
  Value getCounts() {
    Value zeros = t.fill(t.constant(i64, 0), {OpFoldResult(found)});
    return buildLoops(t, {count}, zeros,
                      [&](TensorBuilder &b, ValueRange at,
                          ValueRange carried) -> SmallVector<Value> {
                        Value place = read(b, places, read(b, first, at[0]));
                        Value sum = b.add(b.extract(carried[0], place),
                                          b.constant(i64, 1));
                        return {tensor::InsertOp::create(b.builder, b.loc, sum,
                                                         carried[0], place)};
                      })
        .front();
  }

private:
  Value read(TensorBuilder &b, Value tensor, Value place) {
    return b.convert(b.extract(tensor, place), b.builder.getIndexType());
  }

  Value isFirst(TensorBuilder &b, Value row) {
    return compareIndex(b, arith::CmpIPredicate::eq, read(b, first, row), row);
  }

  /// -1, 0 or 1 as row `x` is less than, equal to or greater than row `y`; NaN
  /// is greater than every number.
  Value compareRows(TensorBuilder &outer, Value x, Value y) {
    return buildLoops(outer, {outer.size(rows, 1)}, outer.index(0),
                      [&](TensorBuilder &b, ValueRange at,
                          ValueRange order) -> SmallVector<Value> {
                        Value p = b.extract(rows, {x, at[0]});
                        Value q = b.extract(rows, {y, at[0]});
                        auto isLess = [&](Value v, Value w) {
                          Value less =
                              b.compare(isUnsigned ? arith::CmpIPredicate::ult
                                                   : arith::CmpIPredicate::slt,
                                        arith::CmpFPredicate::OLT, v, w);
                          if (!isa<FloatType>(v.getType()))
                            return less;
                          auto isNumber = [&](Value number) {
                            return b.compare(arith::CmpIPredicate::eq,
                                             arith::CmpFPredicate::ORD, number,
                                             number);
                          };
                          Value isNaN = arith::XOrIOp::create(
                              b.builder, b.loc, isNumber(w),
                              b.constant(b.builder.getI1Type(), 1));
                          Value beforeNaN = andAll(b, {isNumber(v), isNaN});
                          return arith::OrIOp::create(b.builder, b.loc, less,
                                                      beforeNaN)
                              .getResult();
                        };
                        Value here = b.select(
                            isLess(p, q), b.index(-1),
                            b.select(isLess(q, p), b.index(1), b.index(0)));
                        Value isOpen = compareIndex(b, arith::CmpIPredicate::eq,
                                                    order[0], b.index(0));
                        return {b.select(isOpen, here, order[0])};
                      })
        .front();
  }

  /// For each row, the first one that equals it.
  Value findFirst() {
    return t.generate({count}, i64, [&](TensorBuilder &b, ValueRange at) {
      Value found =
          buildLoops(b, {OpFoldResult(at[0])}, at[0],
                     [&](TensorBuilder &inner, ValueRange other,
                         ValueRange best) -> SmallVector<Value> {
                       Value order = compareRows(inner, other[0], at[0]);
                       Value isEqual =
                           compareIndex(inner, arith::CmpIPredicate::eq, order,
                                        inner.index(0));
                       return {inner.select(
                           isEqual, inner.min(best[0], other[0]), best[0])};
                     })
              .front();
      return b.convert(found, i64);
    });
  }

  /// The number of distinct rows that come before each row in the result.
  Value findPlaces() {
    return t.generate({count}, i64, [&](TensorBuilder &b, ValueRange at) {
      OpFoldResult others = sorted ? count : OpFoldResult(at[0]);
      Value place =
          buildLoops(
              b, {others}, b.index(0),
              [&](TensorBuilder &inner, ValueRange other,
                  ValueRange sum) -> SmallVector<Value> {
                Value counts = isFirst(inner, other[0]);
                if (sorted) {
                  Value order = compareRows(inner, other[0], at[0]);
                  counts = andAll(
                      inner,
                      {counts, compareIndex(inner, arith::CmpIPredicate::slt,
                                            order, inner.index(0))});
                }
                return {inner.add(sum[0], inner.select(counts, inner.index(1),
                                                       inner.index(0)))};
              })
              .front();
      return b.convert(place, i64);
    });
  }

  TensorBuilder &t;
  Value rows;
  bool isUnsigned, sorted;
  Type i64;
  OpFoldResult count;
  Value first, places, found;
};

LogicalResult lowerUnique(onnx::UniqueOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  int64_t rank = Lowering::getType(input).getRank();
  SmallVector<int64_t> permutation;
  Sizes extents;
  if (op.getAxis()) {
    FailureOr<int64_t> axis = l.getAxis(*op.getAxis(), rank);
    if (failed(axis))
      return failure();
    if (rank == 0)
      return l.error() << "expected no 'axis' with a scalar";
    permutation.push_back(*axis);
    for (int64_t i = 0; i < rank; ++i)
      if (i != *axis)
        permutation.push_back(i);
    input = permute(t, input, permutation);
    extents = t.sizes(input);
  } else {
    extents = {t.product(t.sizes(input))};
    permutation = {0};
  }
  OpFoldResult width = t.product(ArrayRef(extents).drop_front());
  Value rows = t.reshape(input, {extents[0], width});
  UniqueBuilder unique(l, rows, Lowering::isUnsigned(op.getX()),
                       op.getSorted() != 0);
  unique.build();
  Value indices = unique.getIndices();
  Sizes sizes = extents;
  sizes[0] = t.size(indices, 0);
  Value chosen =
      t.generate({sizes[0], width}, Lowering::getType(rows).getElementType(),
                 [&](TensorBuilder &b, ValueRange at) {
                   Value row = b.convert(b.extract(indices, at[0]),
                                         b.builder.getIndexType());
                   return b.extract(rows, {row, at[1]});
                 });
  l.set(op.getY(), permute(t, t.reshape(chosen, sizes),
                           invertPermutationVector(permutation)));
  l.set(op.getIndices(), indices);
  if (Lowering::has(op.getInverseIndices()))
    l.set(op.getInverseIndices(), unique.getInverse());
  if (Lowering::has(op.getCounts()))
    l.set(op.getCounts(), unique.getCounts());
  return success();
}

LogicalResult lowerReverseSequence(onnx::ReverseSequenceOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput()), lengths = l.get(op.getSequenceLens());
  int64_t rank = Lowering::getType(input).getRank();
  FailureOr<int64_t> batch = l.getAxis(op.getBatchAxis(), rank);
  FailureOr<int64_t> time = l.getAxis(op.getTimeAxis(), rank);
  if (failed(batch) || failed(time))
    return failure();
  if (rank < 2 || *batch == *time)
    return l.error() << "expected different axes for batch and time";
  if (Lowering::getType(lengths).getRank() != 1)
    return l.error() << "expected a vector of lengths, got "
                     << Lowering::getType(op.getSequenceLens());
  t.checkEqual(t.size(lengths, 0), t.size(input, *batch),
               "ReverseSequence: expected a length for each sequence");
  OpFoldResult extent = t.size(input, *time);
  auto all = SmallVector<int64_t>{0};
  Value limit = t.index(extent);
  for (Reduction bound : {Reduction::Min, Reduction::Max}) {
    // An empty batch has neither.
    Value length = t.convert(t.extract(t.reduce(lengths, all, bound, false)),
                             t.builder.getIndexType());
    Value isEmpty = compareIndex(t, arith::CmpIPredicate::eq,
                                 t.index(t.size(lengths, 0)), t.index(0));
    Value fits =
        bound == Reduction::Min
            ? compareIndex(t, arith::CmpIPredicate::sge, length, t.index(0))
            : compareIndex(t, arith::CmpIPredicate::sle, length, limit);
    t.check(arith::OrIOp::create(t.builder, t.loc, isEmpty, fits),
            "ReverseSequence: a length is out of range");
  }
  l.set(op.getY(),
        t.generate(t.sizes(input), Lowering::getType(input).getElementType(),
                   [&](TensorBuilder &b, ValueRange at) {
                     Value length = b.convert(b.extract(lengths, at[*batch]),
                                              b.builder.getIndexType());
                     Value mirrored =
                         b.sub(b.sub(length, b.index(1)), at[*time]);
                     SmallVector<Value> source(at);
                     source[*time] =
                         b.select(compareIndex(b, arith::CmpIPredicate::slt,
                                               at[*time], length),
                                  mirrored, at[*time]);
                     return b.extract(input, source);
                   }));
  return success();
}

} // namespace

void moe::addUniqueLowerings(LoweringTable &table) {
  table.add(lowerUnique);
  table.add(lowerReverseSequence);
}
