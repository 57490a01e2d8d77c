//===- Selection.cpp - lowering of searches, scans and masks --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

/// The index of the greatest or least entry along `axis`, the first or last one
/// among equals.
FailureOr<Value> findExtreme(Lowering &l, Value original, int64_t axis,
                             bool keep, bool selectLast, bool greatest) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(original);
  int64_t rank = Lowering::getType(data).getRank();
  FailureOr<int64_t> dim = l.getAxis(axis, rank);
  if (failed(dim))
    return failure();
  Type element = getElement(data), i64 = t.builder.getI64Type();
  bool isUnsigned = Lowering::isUnsigned(original);
  Sizes extents = t.sizes(data), kept, withUnits;
  SmallVector<AffineExpr> expressions;
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  for (int64_t i = 0; i < rank; ++i) {
    withUnits.push_back(i == *dim ? t.builder.getIndexAttr(1) : extents[i]);
    if (i == *dim)
      continue;
    kept.push_back(extents[i]);
    expressions.push_back(t.builder.getAffineDimExpr(i));
  }
  iterators[*dim] = utils::IteratorType::reduction;
  Value worst = isUnsigned ? t.constant(element, greatest ? 0 : -1)
                           : t.extreme(element, !greatest);
  Value best = t.fill(worst, kept), place = t.fill(t.constant(i64, 0), kept);
  AffineMap keptMap =
      AffineMap::get(rank, 0, expressions, t.builder.getContext());
  SmallVector<AffineMap> maps = {t.builder.getMultiDimIdentityMap(rank),
                                 keptMap, keptMap};
  using arith::CmpFPredicate;
  using arith::CmpIPredicate;
  CmpFPredicate real =
      greatest ? (selectLast ? CmpFPredicate::OGE : CmpFPredicate::OGT)
               : (selectLast ? CmpFPredicate::OLE : CmpFPredicate::OLT);
  CmpIPredicate integer =
      greatest ? (selectLast ? CmpIPredicate::sge : CmpIPredicate::sgt)
               : (selectLast ? CmpIPredicate::sle : CmpIPredicate::slt);
  if (isUnsigned)
    integer = greatest ? (selectLast ? CmpIPredicate::uge : CmpIPredicate::ugt)
                       : (selectLast ? CmpIPredicate::ule : CmpIPredicate::ult);
  auto search = linalg::GenericOp::create(
      t.builder, t.loc, TypeRange{best.getType(), place.getType()}, data,
      ValueRange{best, place}, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange v) {
        TensorBuilder inner(nested, loc);
        Value isBetter = inner.compare(integer, real, v[0], v[1]);
        Value here =
            inner.convert(linalg::IndexOp::create(nested, loc, *dim), i64);
        linalg::YieldOp::create(nested, loc,
                                ValueRange{inner.select(isBetter, v[0], v[1]),
                                           inner.select(isBetter, here, v[2])});
      });
  Value found = search.getResult(1);
  return keep ? t.reshape(found, withUnits) : found;
}

template <typename Op> LogicalResult lowerArg(Op op, Lowering &l) {
  FailureOr<Value> found =
      findExtreme(l, op.getData(), op.getAxis(), op.getKeepdims(),
                  op.getSelectLastIndex(), std::is_same_v<Op, onnx::ArgMaxOp>);
  if (failed(found))
    return failure();
  l.set(op.getReduced(), *found);
  return success();
}

/// 1 at the first greatest entry along the axis, 0 elsewhere.
LogicalResult lowerHardmax(onnx::HardmaxOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  FailureOr<int64_t> axis =
      l.getAxis(op.getAxis(), Lowering::getType(input).getRank());
  if (failed(axis))
    return failure();
  FailureOr<Value> found = findExtreme(l, op.getInput(), *axis, /*keep=*/true,
                                       /*selectLast=*/false, /*greatest=*/true);
  if (failed(found))
    return failure();
  Type element = getElement(input);
  l.set(
      op.getOutput(),
      t.map({input, *found}, element, [&](TensorBuilder &inner, ValueRange v) {
        Value here = linalg::IndexOp::create(inner.builder, inner.loc, *axis);
        Value isFound = compareIndex(inner, arith::CmpIPredicate::eq,
                                     inner.convert(here, v[1].getType()), v[1]);
        return inner.select(isFound, inner.constant(element, 1),
                            inner.constant(element, 0));
      }));
  return success();
}

/// The number of nonzero elements.
Value countNonZero(TensorBuilder &t, Value tensor) {
  Type i64 = t.builder.getI64Type();
  Value ones = t.map(tensor, i64, [&](TensorBuilder &inner, ValueRange v) {
    return inner.convert(inner.convert(v[0], inner.builder.getI1Type()), i64);
  });
  auto dims = llvm::to_vector(
      llvm::seq<int64_t>(0, Lowering::getType(tensor).getRank()));
  Value sum = t.extract(t.reduce(ones, dims, Reduction::Sum, false));
  return t.convert(sum, t.builder.getIndexType());
}

LogicalResult lowerNonZero(onnx::NonZeroOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  int64_t rank = Lowering::getType(input).getRank();
  if (rank == 0)
    return l.error() << "expected an input of rank 1 or higher, got a scalar";
  Type i64 = t.builder.getI64Type();
  Value places =
      t.empty({t.builder.getIndexAttr(rank), countNonZero(t, input)}, i64);
  Value none = t.index(0);
  SmallVector<Value> found = buildLoops(
      t, t.sizes(input), {places, none},
      [&](TensorBuilder &inner, ValueRange position, ValueRange carried) {
        Value isSet = inner.convert(inner.extract(input, position),
                                    inner.builder.getI1Type());
        return buildIf(
            inner, isSet,
            [&](TensorBuilder &branch) -> SmallVector<Value> {
              Value next = carried[0];
              for (auto [i, index] : llvm::enumerate(position))
                next = tensor::InsertOp::create(
                    branch.builder, branch.loc, branch.convert(index, i64),
                    next, ValueRange{branch.index(i), carried[1]});
              return {next, branch.add(carried[1], branch.index(1))};
            },
            [&](TensorBuilder &) { return SmallVector<Value>(carried); });
      });
  l.set(op.getY(), found.front());
  return success();
}

LogicalResult lowerCompress(onnx::CompressOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput()), condition = l.get(op.getCondition());
  int64_t axis = 0;
  if (op.getAxis()) {
    FailureOr<int64_t> dim =
        l.getAxis(*op.getAxis(), Lowering::getType(input).getRank());
    if (failed(dim))
      return failure();
    axis = *dim;
  } else {
    input = t.reshape(input, {t.product(t.sizes(input))});
  }
  Value length = t.index(t.size(condition, 0));
  Sizes extents = t.sizes(input);
  t.check(compareIndex(t, arith::CmpIPredicate::sle, length,
                       t.index(extents[axis])),
          "the condition of Compress is longer than the extent");
  Value count = countNonZero(t, condition);
  Value places = t.empty({OpFoldResult(count)}, t.builder.getIndexType());
  Value none = t.index(0);
  places =
      buildLoops(
          t, {OpFoldResult(length)}, {places, none},
          [&](TensorBuilder &inner, ValueRange position, ValueRange carried) {
            return buildIf(
                inner, inner.extract(condition, position),
                [&](TensorBuilder &branch) -> SmallVector<Value> {
                  return {tensor::InsertOp::create(branch.builder, branch.loc,
                                                   position[0], carried[0],
                                                   ValueRange{carried[1]}),
                          branch.add(carried[1], branch.index(1))};
                },
                [&](TensorBuilder &) { return SmallVector<Value>(carried); });
          })
          .front();
  extents[axis] = count;
  l.set(op.getOutput(),
        t.generate(extents, getElement(input),
                   [&](TensorBuilder &inner, ValueRange position) {
                     SmallVector<Value> source(position);
                     source[axis] = inner.extract(places, position[axis]);
                     return inner.extract(input, source);
                   }));
  return success();
}

LogicalResult lowerOneHot(onnx::OneHotOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value indices = l.get(op.getIndices()), values = l.get(op.getValues());
  int64_t rank = Lowering::getType(indices).getRank();
  FailureOr<int64_t> axis = l.getAxis(op.getAxis(), rank + 1);
  if (failed(axis))
    return failure();
  OpFoldResult depth;
  if (isa<IntegerType>(getElement(op.getDepth()))) {
    FailureOr<Sizes> depths = l.getElements(op.getDepth());
    if (failed(depths))
      return failure();
    if (depths->size() != 1)
      return l.error() << "expected one depth, got " << depths->size();
    depth = depths->front();
  } else {
    Value number = l.get(op.getDepth());
    SmallVector<Value> first(Lowering::getType(number).getRank(), t.index(0));
    depth = t.convert(t.extract(number, first), t.builder.getIndexType());
  }
  Value limit = t.index(depth);
  Value off = t.extract(values, t.index(0)), on = t.extract(values, t.index(1));
  Sizes extents = t.sizes(indices);
  extents.insert(extents.begin() + *axis, depth);
  l.set(op.getOutput(),
        t.generate(l.refine(op.getOutput(), extents), getElement(values),
                   [&](TensorBuilder &inner, ValueRange position) {
                     SmallVector<Value> source(position);
                     source.erase(source.begin() + *axis);
                     Value index = wrapIndex(
                         inner, inner.extract(indices, source), limit);
                     Value isHot = compareIndex(inner, arith::CmpIPredicate::eq,
                                                index, position[*axis]);
                     return inner.select(isHot, on, off);
                   }));
  return success();
}

LogicalResult lowerTrilu(onnx::TriluOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  int64_t rank = Lowering::getType(input).getRank();
  if (rank < 2)
    return l.error() << "expected an input of rank 2 or higher, got " << rank;
  Value diagonal = t.index(0);
  if (Lowering::has(op.getK())) {
    FailureOr<Sizes> k = l.getElements(op.getK());
    if (failed(k))
      return failure();
    if (k->size() != 1)
      return l.error() << "expected one number 'k', got " << k->size();
    diagonal = t.index(k->front());
  }
  Type element = getElement(input);
  l.set(op.getOutput(),
        t.map(input, element, [&](TensorBuilder &inner, ValueRange v) {
          Value row =
              linalg::IndexOp::create(inner.builder, inner.loc, rank - 2);
          Value column =
              linalg::IndexOp::create(inner.builder, inner.loc, rank - 1);
          Value keep = compareIndex(inner,
                                    op.getUpper() ? arith::CmpIPredicate::sge
                                                  : arith::CmpIPredicate::sle,
                                    column, inner.add(row, diagonal));
          return inner.select(keep, v[0], inner.constant(element, 0));
        }));
  return success();
}

} // namespace

void moe::addSelectionLowerings(LoweringTable &table) {
  table.add(lowerArg<onnx::ArgMaxOp>);
  table.add(lowerArg<onnx::ArgMinOp>);
  table.add(lowerHardmax);
  table.add(lowerNonZero);
  table.add(lowerCompress);
  table.add(lowerOneHot);
  table.add(lowerTrilu);
  addTopKLowering(table);
}
