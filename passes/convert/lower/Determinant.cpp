//===- Determinant.cpp - lowering of Det ----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Gaussian elimination with the greatest element of a column as pivot; the
// determinant is the product of the pivots, negated for each exchange of rows.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

Value write(TensorBuilder &t, Value element, Value matrix, ValueRange place) {
  return tensor::InsertOp::create(t.builder, t.loc, element, matrix, place);
}

/// The row from `column` on whose entry in `column` is greatest in size.
Value findPivot(TensorBuilder &t, Value matrix, Value column, Value count) {
  Type type = Lowering::getType(matrix).getElementType();
  return buildLoops(t, {t.sub(count, column)}, {column, t.constant(type, -1)},
                    [&](TensorBuilder &b, ValueRange step,
                        ValueRange best) -> SmallVector<Value> {
                      Value row = b.add(step[0], column);
                      Value size = math::AbsFOp::create(
                          b.builder, b.loc, b.extract(matrix, {row, column}));
                      Value isGreater = arith::CmpFOp::create(
                          b.builder, b.loc, arith::CmpFPredicate::OGT, size,
                          best[1]);
                      return {b.select(isGreater, row, best[0]),
                              b.select(isGreater, size, best[1])};
                    })[0];
}

/// Exchanges two rows.
Value exchange(TensorBuilder &t, Value matrix, Value a, Value b, Value count) {
  return buildLoops(t, {count}, matrix,
                    [&](TensorBuilder &inner, ValueRange column,
                        ValueRange carried) -> SmallVector<Value> {
                      Value first = inner.extract(carried[0], {a, column[0]});
                      Value second = inner.extract(carried[0], {b, column[0]});
                      Value half =
                          write(inner, second, carried[0], {a, column[0]});
                      return {write(inner, first, half, {b, column[0]})};
                    })[0];
}

/// Subtracts multiples of the row of the pivot from those below it.
Value eliminate(TensorBuilder &t, Value matrix, Value pivot, Value column,
                Value count) {
  Type type = pivot.getType();
  Value zero = t.constant(type, 0);
  // Where all that is left of the column is zero, nothing is to be done.
  Value isZero = t.compare(arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ,
                           pivot, zero);
  Value divisor = t.select(isZero, t.constant(type, 1), pivot);
  Value below = t.add(column, t.index(1));
  return buildLoops(t, {t.sub(count, below), t.sub(count, column)}, matrix,
                    [&](TensorBuilder &b, ValueRange step,
                        ValueRange carried) -> SmallVector<Value> {
                      Value row = b.add(step[0], below);
                      // From the right, so that the entry that is divided
                      // changes last.
                      Value place = b.sub(b.sub(count, b.index(1)), step[1]);
                      Value factor =
                          b.div(b.extract(carried[0], {row, column}), divisor);
                      Value above = b.extract(carried[0], {column, place});
                      Value old = b.extract(carried[0], {row, place});
                      return {write(b, b.sub(old, b.mul(factor, above)),
                                    carried[0], {row, place})};
                    })[0];
}

Value computeDeterminant(TensorBuilder &t, Value matrix, Value count) {
  Type type = Lowering::getType(matrix).getElementType();
  return buildLoops(
      t, {count}, {matrix, t.constant(type, 1)},
      [&](TensorBuilder &b, ValueRange column,
          ValueRange carried) -> SmallVector<Value> {
        Value row = findPivot(b, carried[0], column[0], count);
        Value swapped = exchange(b, carried[0], column[0], row, count);
        Value pivot = b.extract(swapped, {column[0], column[0]});
        Value stays = compareIndex(b, arith::CmpIPredicate::eq, row, column[0]);
        Value sign = b.select(stays, b.constant(type, 1), b.constant(type, -1));
        return {eliminate(b, swapped, pivot, column[0], count),
                b.mul(carried[1], b.mul(sign, pivot))};
      })[1];
}

LogicalResult lowerDet(onnx::DetOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  RankedTensorType type = Lowering::getType(input);
  int64_t rank = type.getRank();
  if (rank < 2)
    return l.error() << "expected matrices, got "
                     << Lowering::getType(op.getX());
  Type element = type.getElementType(), wide = getAccumulator(element);
  Sizes sizes = t.sizes(input);
  t.checkEqual(sizes[rank - 2], sizes[rank - 1],
               "Det: expected matrices with as many rows as columns");
  Value count = t.index(sizes[rank - 1]);
  Sizes batch(ArrayRef(sizes).drop_back(2));
  Sizes extents(rank, t.builder.getIndexAttr(1));
  for (int64_t i = rank - 2; i < rank; ++i)
    extents[i] = sizes[i];
  auto matrixType =
      RankedTensorType::get(type.getShape().take_back(2), element);
  Value result = buildLoops(
      t, batch, t.empty(batch, element),
      [&](TensorBuilder &b, ValueRange place,
          ValueRange carried) -> SmallVector<Value> {
        Sizes from(place.begin(), place.end());
        from.append(2, b.builder.getIndexAttr(0));
        Value matrix = tensor::ExtractSliceOp::create(
            b.builder, b.loc, matrixType, input, from, extents,
            Sizes(rank, b.builder.getIndexAttr(1)));
        Value number = computeDeterminant(b, b.cast(matrix, wide), count);
        return {write(b, b.convert(number, element), carried[0], place)};
      })[0];
  l.set(op.getY(), result);
  return success();
}

} // namespace

void moe::addDeterminantLowering(LoweringTable &table) { table.add(lowerDet); }
