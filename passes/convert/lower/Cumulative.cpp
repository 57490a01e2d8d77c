//===- Cumulative.cpp - lowering of CumSum and CumProd --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"
#include "passes/convert/lower/RuntimeAxes.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

using Combine = function_ref<Value(TensorBuilder &, Value, Value)>;

/// Every entry combined with those before it along dimension `dim`.
template <typename Op>
Value accumulate(Op op, TensorBuilder &t, Value input, int64_t dim,
                 double neutral, Combine combine) {
  Type element = Lowering::getType(input).getElementType();
  Type wide = getAccumulator(element);
  Sizes extents = t.sizes(input);
  OpFoldResult length = extents[dim];
  Value last = t.sub(t.index(length), t.index(1));
  Value first = t.constant(wide, neutral);
  Sizes others = extents;
  others.erase(others.begin() + dim);
  return buildLoops(
             t, others, t.empty(extents, element),
             [&](TensorBuilder &line, ValueRange position, ValueRange carried) {
               SmallVector<Value> states = buildLoops(
                   line, {length}, {carried[0], first},
                   [&](TensorBuilder &inner, ValueRange step,
                       ValueRange state) -> SmallVector<Value> {
                     SmallVector<Value> place(position);
                     place.insert(place.begin() + dim,
                                  op.getReverse() ? inner.sub(last, step[0])
                                                  : step[0]);
                     Value next =
                         inner.convert(inner.extract(input, place), wide);
                     Value sum = combine(inner, state[1], next);
                     Value written = inner.convert(
                         op.getExclusive() ? state[1] : sum, element);
                     return {tensor::InsertOp::create(inner.builder, inner.loc,
                                                      written, state[0], place),
                             sum};
                   });
               return SmallVector<Value>{states.front()};
             })
      .front();
}

template <typename Op>
LogicalResult lowerCumulative(Op op, Lowering &l, double neutral,
                              Combine combine) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  FailureOr<OpFoldResult> axis =
      readAxis(l, op.getAxis(), Lowering::getType(input).getRank());
  if (failed(axis))
    return failure();
  if (std::optional<int64_t> dim = getConstantIntValue(*axis)) {
    l.set(op.getY(), accumulate(op, t, input, *dim, neutral, combine));
    return success();
  }
  Sizes sizes = t.sizes(input);
  Value view = t.reshape(input, splitAt(t, sizes, *axis));
  l.set(op.getY(),
        t.reshape(accumulate(op, t, view, 1, neutral, combine), sizes));
  return success();
}

LogicalResult lowerCumSum(onnx::CumSumOp op, Lowering &l) {
  return lowerCumulative(
      op, l, 0, [](TensorBuilder &t, Value a, Value b) { return t.add(a, b); });
}

LogicalResult lowerCumProd(onnx::CumProdOp op, Lowering &l) {
  return lowerCumulative(
      op, l, 1, [](TensorBuilder &t, Value a, Value b) { return t.mul(a, b); });
}

} // namespace

void moe::addCumulativeLowerings(LoweringTable &table) {
  table.add(lowerCumSum);
  table.add(lowerCumProd);
}
