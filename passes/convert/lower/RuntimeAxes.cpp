//===- RuntimeAxes.cpp - axes that are known at run time only -----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/RuntimeAxes.h"
#include "passes/convert/lower/Indexing.h"

using namespace mlir;
using namespace mlir::moe;

FailureOr<Sizes> moe::readAxes(Lowering &l, Value original, int64_t rank) {
  TensorBuilder &t = l.tensors;
  FailureOr<Sizes> axes = l.getElements(original);
  if (failed(axes))
    return failure();
  for (OpFoldResult &axis : *axes) {
    if (std::optional<int64_t> known = getConstantIntValue(axis)) {
      FailureOr<int64_t> position = l.getAxis(*known, rank);
      if (failed(position))
        return failure();
      axis = t.builder.getIndexAttr(*position);
      continue;
    }
    Value given = t.index(axis), extent = t.index(rank);
    Value position = wrapIndex(t, given, extent);
    t.check(andAll(t, {compareIndex(t, arith::CmpIPredicate::sge, position,
                                    t.index(0)),
                       compareIndex(t, arith::CmpIPredicate::slt, position,
                                    extent)}),
            "axis out of range");
    axis = position;
  }
  return axes;
}

FailureOr<OpFoldResult> moe::readAxis(Lowering &l, Value original,
                                      int64_t rank) {
  FailureOr<Sizes> axes = readAxes(l, original, rank);
  if (failed(axes))
    return failure();
  if (axes->size() != 1)
    return l.error() << "expected one axis, got " << axes->size();
  return axes->front();
}

bool moe::areKnown(ArrayRef<OpFoldResult> axes) {
  return llvm::all_of(axes, [](OpFoldResult axis) {
    return getConstantIntValue(axis).has_value();
  });
}

OpFoldResult moe::selectIf(TensorBuilder &t, int64_t dim, OpFoldResult axis,
                           arith::CmpIPredicate predicate, OpFoldResult yes,
                           OpFoldResult no) {
  if (yes == no)
    return yes;
  if (std::optional<int64_t> known = getConstantIntValue(axis))
    return arith::applyCmpPredicate(predicate, APInt(64, dim, true),
                                    APInt(64, *known, true))
               ? yes
               : no;
  Value holds = compareIndex(t, predicate, t.index(dim), t.index(axis));
  return t.select(holds, t.index(yes), t.index(no));
}

OpFoldResult moe::selectAt(TensorBuilder &t, ArrayRef<OpFoldResult> sizes,
                           OpFoldResult axis) {
  OpFoldResult result = sizes.front();
  for (auto [dim, size] : llvm::enumerate(sizes))
    result = selectIf(t, dim, axis, arith::CmpIPredicate::eq, size, result);
  return result;
}

Sizes moe::splitAt(TensorBuilder &t, ArrayRef<OpFoldResult> sizes,
                   OpFoldResult axis) {
  OpFoldResult one = t.builder.getIndexAttr(1), before = one, behind = one;
  for (auto [dim, size] : llvm::enumerate(sizes)) {
    before = t.mulSizes(
        before, selectIf(t, dim, axis, arith::CmpIPredicate::slt, size, one));
    behind = t.mulSizes(
        behind, selectIf(t, dim, axis, arith::CmpIPredicate::sgt, size, one));
  }
  return {before, selectAt(t, sizes, axis), behind};
}

void moe::replaceAt(TensorBuilder &t, Sizes &sizes, OpFoldResult axis,
                    OpFoldResult size) {
  for (auto [dim, own] : llvm::enumerate(sizes))
    own = selectIf(t, dim, axis, arith::CmpIPredicate::eq, size, own);
}

/// 1 if `dim` is one of `axes`, else 0.
static OpFoldResult countIn(TensorBuilder &t, int64_t dim,
                            ArrayRef<OpFoldResult> axes) {
  OpFoldResult result = t.builder.getIndexAttr(0);
  for (OpFoldResult axis : axes)
    result = selectIf(t, dim, axis, arith::CmpIPredicate::eq,
                      t.builder.getIndexAttr(1), result);
  return result;
}

Sizes moe::dropAxes(TensorBuilder &t, ArrayRef<OpFoldResult> sizes,
                    ArrayRef<OpFoldResult> axes, int64_t rank) {
  OpFoldResult one = t.builder.getIndexAttr(1);
  Sizes kept(rank, one);
  OpFoldResult next = t.builder.getIndexAttr(0);
  for (auto [dim, size] : llvm::enumerate(sizes)) {
    OpFoldResult isDropped = countIn(t, dim, axes);
    // A dropped size goes to no place.
    OpFoldResult place =
        t.addSizes(next, t.mulSizes(isDropped, t.builder.getIndexAttr(rank)));
    for (int64_t i = 0; i < rank; ++i)
      kept[i] = selectIf(t, i, place, arith::CmpIPredicate::eq, size, kept[i]);
    next = t.addSizes(next, t.subSizes(one, isDropped));
  }
  return kept;
}

Sizes moe::insertAxes(TensorBuilder &t, ArrayRef<OpFoldResult> sizes,
                      ArrayRef<OpFoldResult> axes, int64_t rank) {
  OpFoldResult one = t.builder.getIndexAttr(1);
  Sizes expanded;
  OpFoldResult next = t.builder.getIndexAttr(0);
  for (int64_t dim = 0; dim < rank; ++dim) {
    OpFoldResult isInserted = countIn(t, dim, axes);
    OpFoldResult size = sizes.empty() ? one : selectAt(t, sizes, next);
    std::optional<int64_t> known = getConstantIntValue(isInserted);
    expanded.push_back(known ? (*known ? one : size)
                             : selectIf(t, 1, isInserted,
                                        arith::CmpIPredicate::eq, one, size));
    next = t.addSizes(next, t.subSizes(one, isInserted));
  }
  return expanded;
}
