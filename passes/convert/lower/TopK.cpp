//===- TopK.cpp - lowering of TopK ----------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Entries are ordered by value, equal ones by rising index; NaN is less than
// every number. A few entries are found by one scan each, in which the entry
// found last says where the order continues; for many, or a number known at run
// time only, a row is sorted by merging runs of doubling length.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::moe;

/// Up to this many entries are found by scans.
static constexpr int64_t kMaxScans = 32;

namespace {

class TopKBuilder {
public:
  TopKBuilder(TensorBuilder &t, Value rows, OpFoldResult k, bool largest,
              bool isUnsigned)
      : t(t), rows(rows), k(k), largest(largest), isUnsigned(isUnsigned) {
    element = Lowering::getType(rows).getElementType();
    count = t.index(t.size(rows, 1));
  }

  /// Values and indices of the chosen entries of each row.
  SmallVector<Value> build() {
    OpFoldResult rowCount = t.size(rows, 0);
    Value values = t.empty({rowCount, k}, element);
    Value indices = t.empty({rowCount, k}, t.builder.getI64Type());
    std::optional<int64_t> known = getConstantIntValue(k);
    return buildLoops(
        t, {rowCount}, {values, indices},
        [&](TensorBuilder &inner, ValueRange row, ValueRange carried) {
          return known && *known <= kMaxScans ? scan(inner, row[0], carried)
                                              : sort(inner, row[0], carried);
        });
  }

private:
  /// Whether `a` comes before `b` whatever their indices.
  Value isBefore(TensorBuilder &inner, Value a, Value b) {
    using arith::CmpFPredicate;
    using arith::CmpIPredicate;
    if (!isa<FloatType>(element)) {
      CmpIPredicate greater =
          isUnsigned ? CmpIPredicate::ugt : CmpIPredicate::sgt;
      CmpIPredicate less = isUnsigned ? CmpIPredicate::ult : CmpIPredicate::slt;
      return compareIndex(inner, largest ? greater : less, a, b);
    }
    auto compare = [&](CmpFPredicate predicate, Value x, Value y) -> Value {
      return arith::CmpFOp::create(inner.builder, inner.loc, predicate, x, y);
    };
    // The unordered comparison holds for NaN; a NaN of the greater side does
    // not count.
    Value greater = largest ? a : b;
    return andAll(
        inner,
        {compare(CmpFPredicate::ORD, greater, greater),
         compare(largest ? CmpFPredicate::UGT : CmpFPredicate::ULT, a, b)});
  }

  SmallVector<Value> store(TensorBuilder &inner, ValueRange results, Value row,
                           Value place, Value value, Value index) {
    SmallVector<Value> position = {row, place};
    Value number = inner.convert(index, inner.builder.getI64Type());
    return {tensor::InsertOp::create(inner.builder, inner.loc, value,
                                     results[0], position),
            tensor::InsertOp::create(inner.builder, inner.loc, number,
                                     results[1], position)};
  }

  SmallVector<Value> scan(TensorBuilder &outer, Value row, ValueRange results) {
    Value none = outer.index(-1), zero = outer.constant(element, 0);
    SmallVector<Value> carried(results);
    carried.append({zero, none});
    SmallVector<Value> found = buildLoops(
        outer, {k}, carried,
        [&](TensorBuilder &inner, ValueRange place, ValueRange state) {
          SmallVector<Value> best =
              findNext(inner, row, state[2], state[3], zero, none);
          SmallVector<Value> next =
              store(inner, state, row, place[0], best[0], best[1]);
          next.append(best);
          return next;
        });
    found.truncate(2);
    return found;
  }

  /// The first entry in order after the entry `last`, if that is not `none`.
  SmallVector<Value> findNext(TensorBuilder &outer, Value row, Value lastValue,
                              Value last, Value zero, Value none) {
    return buildLoops(
        outer, {OpFoldResult(count)}, {zero, none},
        [&](TensorBuilder &inner, ValueRange place,
            ValueRange best) -> SmallVector<Value> {
          Value value = inner.extract(rows, {row, place[0]});
          auto either = [&](Value a, Value b) -> Value {
            return arith::OrIOp::create(inner.builder, inner.loc, a, b);
          };
          auto isNone = [&](Value index) {
            return compareIndex(inner, arith::CmpIPredicate::eq, index, none);
          };
          Value above = isBefore(inner, value, lastValue);
          Value yes = inner.constant(inner.builder.getI1Type(), 1);
          Value later = andAll(
              inner,
              {arith::XOrIOp::create(inner.builder, inner.loc, above, yes),
               compareIndex(inner, arith::CmpIPredicate::sgt, place[0], last)});
          Value isLeft = either(either(isNone(last), later),
                                isBefore(inner, lastValue, value));
          Value isBetter =
              either(isNone(best[1]), isBefore(inner, value, best[0]));
          Value take = andAll(inner, {isLeft, isBetter});
          return {inner.select(take, value, best[0]),
                  inner.select(take, place[0], best[1])};
        });
  }

  SmallVector<Value> sort(TensorBuilder &outer, Value row, ValueRange results) {
    Type i64 = outer.builder.getI64Type();
    Value order = outer.generate({OpFoldResult(count)}, i64,
                                 [&](TensorBuilder &inner, ValueRange place) {
                                   return inner.convert(place[0], i64);
                                 });
    // The number of times that 1 is doubled until it reaches the length.
    Value atLeastOne =
        arith::MaxSIOp::create(outer.builder, outer.loc, count, outer.index(1));
    Value highest = outer.convert(outer.sub(atLeastOne, outer.index(1)), i64);
    Value zeros =
        math::CountLeadingZerosOp::create(outer.builder, outer.loc, highest);
    Value passes = outer.convert(outer.sub(outer.constant(i64, 64), zeros),
                                 outer.builder.getIndexType());
    order = buildLoops(outer, {OpFoldResult(passes)}, order,
                       [&](TensorBuilder &inner, ValueRange pass,
                           ValueRange carried) -> SmallVector<Value> {
                         return {mergeRuns(inner, row, pass[0], carried[0])};
                       })
                .front();
    return buildLoops(
        outer, {k}, results,
        [&](TensorBuilder &inner, ValueRange place, ValueRange carried) {
          Value index = inner.convert(inner.extract(order, place),
                                      inner.builder.getIndexType());
          return store(inner, carried, row, place[0],
                       inner.extract(rows, {row, index}), index);
        });
  }

  /// Merges neighbouring runs of length `2^pass`.
  Value mergeRuns(TensorBuilder &outer, Value row, Value pass, Value order) {
    Value one = outer.index(1);
    Value width = arith::ShLIOp::create(outer.builder, outer.loc, one, pass);
    Value pair = outer.add(width, width);
    Value pairs =
        arith::CeilDivSIOp::create(outer.builder, outer.loc, count, pair);
    Value scratch =
        outer.empty({OpFoldResult(count)}, outer.builder.getI64Type());
    Value merged =
        buildLoops(outer, {OpFoldResult(pairs)}, scratch,
                   [&](TensorBuilder &inner, ValueRange number,
                       ValueRange carried) -> SmallVector<Value> {
                     Value low = inner.mul(number[0], pair);
                     auto clamp = [&](Value place) -> Value {
                       return arith::MinSIOp::create(inner.builder, inner.loc,
                                                     place, count);
                     };
                     return {mergePair(inner, row, order, carried[0], low,
                                       clamp(inner.add(low, width)),
                                       clamp(inner.add(low, pair)))};
                   })
            .front();
    return linalg::CopyOp::create(outer.builder, outer.loc, merged, order)
        .getResult(0);
  }

  Value mergePair(TensorBuilder &outer, Value row, Value order, Value scratch,
                  Value low, Value middle, Value high) {
    Value one = outer.index(1), zero = outer.index(0);
    Value last = outer.sub(count, one);
    auto read = [&](TensorBuilder &inner, Value place) {
      Value inside =
          arith::MinSIOp::create(inner.builder, inner.loc, place, last);
      return inner.extract(order, inside);
    };
    auto readValue = [&](TensorBuilder &inner, Value index) {
      return inner.extract(
          rows, {row, inner.convert(index, inner.builder.getIndexType())});
    };
    return buildLoops(
               outer, {OpFoldResult(outer.sub(high, low))},
               {scratch, low, middle},
               [&](TensorBuilder &inner, ValueRange place,
                   ValueRange state) -> SmallVector<Value> {
                 Value left = read(inner, state[1]);
                 Value right = read(inner, state[2]);
                 Value hasLeft = compareIndex(inner, arith::CmpIPredicate::slt,
                                              state[1], middle);
                 Value hasRight = compareIndex(inner, arith::CmpIPredicate::slt,
                                               state[2], high);
                 Value rightFirst = andAll(
                     inner, {hasRight, isBefore(inner, readValue(inner, right),
                                                readValue(inner, left))});
                 // Of equal entries the left one has the lower index.
                 Value takeRight = inner.select(hasLeft, rightFirst, hasRight);
                 Value chosen = inner.select(takeRight, right, left);
                 Value next = tensor::InsertOp::create(
                     inner.builder, inner.loc, chosen, state[0],
                     ValueRange{inner.add(low, place[0])});
                 return {
                     next,
                     inner.add(state[1], inner.select(takeRight, zero, one)),
                     inner.add(state[2], inner.select(takeRight, one, zero))};
               })
        .front();
  }

  TensorBuilder &t;
  Value rows;
  OpFoldResult k;
  bool largest;
  bool isUnsigned;
  Type element;
  Value count;
};

LogicalResult lowerTopK(onnx::TopKOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  int64_t rank = Lowering::getType(input).getRank();
  FailureOr<int64_t> axis = l.getAxis(op.getAxis(), rank);
  FailureOr<Sizes> counts = l.getElements(op.getK());
  if (failed(axis) || failed(counts))
    return failure();
  if (rank == 0 || counts->size() != 1)
    return l.error() << "expected an input of rank 1 or higher and one number "
                        "'k'";
  OpFoldResult k = counts->front(), extent = t.size(input, *axis);
  int64_t declared = Lowering::getType(op.getValues()).getDimSize(*axis);
  if (!getConstantIntValue(k) && !ShapedType::isDynamic(declared)) {
    t.checkEqual(k, t.builder.getIndexAttr(declared),
                 "expected 'k' of TopK as in the type of its result");
    k = t.builder.getIndexAttr(declared);
  }
  std::optional<int64_t> known = getConstantIntValue(k);
  std::optional<int64_t> bound = getConstantIntValue(extent);
  if (known && (*known < 0 || (bound && *known > *bound)))
    return l.error() << "expected 'k' in [0, "
                     << (bound ? *bound : ShapedType::kDynamic) << "], got "
                     << *known;
  if (!known || !bound) {
    Value number = t.index(k);
    t.check(andAll(t, {compareIndex(t, arith::CmpIPredicate::sge, number,
                                    t.index(0)),
                       compareIndex(t, arith::CmpIPredicate::sle, number,
                                    t.index(extent))}),
            "'k' of TopK exceeds the extent");
  }

  SmallVector<int64_t> permutation;
  for (int64_t i = 0; i < rank; ++i)
    if (i != *axis)
      permutation.push_back(i);
  permutation.push_back(*axis);
  Value last = permute(t, input, permutation);
  Sizes extents = t.sizes(last);
  Value rows =
      t.reshape(last, {t.product(ArrayRef(extents).drop_back()), extent});
  SmallVector<Value> chosen =
      TopKBuilder(t, rows, k, op.getLargest(), Lowering::isUnsigned(op.getX()))
          .build();
  extents.back() = k;
  for (auto [result, value] : llvm::zip_equal(op->getResults(), chosen))
    l.set(result, permute(t, t.reshape(value, extents),
                          invertPermutationVector(permutation)));
  return success();
}

} // namespace

void moe::addTopKLowering(LoweringTable &table) { table.add(lowerTopK); }
