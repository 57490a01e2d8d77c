//===- Recurrent.cpp - lowering of recurrent layers -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products with the inputs of all steps are one product of matrices; a loop
// over the steps carries the states.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

/// Entry `index` of the first dimension, without a copy.
Value takeFirst(TensorBuilder &t, Value tensor, OpFoldResult index) {
  RankedTensorType type = Lowering::getType(tensor);
  Sizes offsets(type.getRank(), t.builder.getIndexAttr(0));
  Sizes extents = t.sizes(tensor);
  offsets[0] = index;
  extents[0] = t.builder.getIndexAttr(1);
  return tensor::ExtractSliceOp::create(
      t.builder, t.loc,
      RankedTensorType::get(type.getShape().drop_front(),
                            type.getElementType()),
      tensor, offsets, extents,
      Sizes(type.getRank(), t.builder.getIndexAttr(1)));
}

/// `tensor` with `part` in place of the entries from `offsets`.
Value putSlice(TensorBuilder &t, Value tensor, Value part, Sizes offsets) {
  Sizes extents = t.sizes(part);
  size_t rank = offsets.size();
  while (extents.size() < rank)
    extents.insert(extents.begin(), t.builder.getIndexAttr(1));
  return tensor::InsertSliceOp::create(t.builder, t.loc, part, tensor, offsets,
                                       extents,
                                       Sizes(rank, t.builder.getIndexAttr(1)));
}

Value add(TensorBuilder &t, Value a, Value b) {
  return t.map({a, b}, getElement(a), [](TensorBuilder &inner, ValueRange v) {
    return inner.add(v[0], v[1]);
  });
}

class LSTMBuilder {
public:
  LSTMBuilder(onnx::LSTMOp op, Lowering &l) : op(op), l(l), t(l.tensors) {}

  LogicalResult build() {
    if (failed(checkAttributes()))
      return failure();
    input = l.get(op.getX());
    inputWeights = permute(t, l.get(op.getW()), {0, 2, 1});
    stateWeights = permute(t, l.get(op.getR()), {0, 2, 1});
    directions = Lowering::getType(inputWeights).getDimSize(0);
    hidden = Lowering::getType(stateWeights).getDimSize(1);
    int64_t expected = op.getDirection() == "bidirectional" ? 2 : 1;
    if (directions != expected || ShapedType::isDynamic(hidden))
      return l.error() << "expected weights of " << expected
                       << " directions and a known hidden size, got "
                       << Lowering::getType(op.getR());
    Sizes sizes = t.sizes(input);
    OpFoldResult width = t.builder.getIndexAttr(hidden);
    OpFoldResult count = t.builder.getIndexAttr(directions);
    Type element = getElement(input);
    all = t.empty({sizes[0], count, sizes[1], width}, element);
    lastHidden = t.empty({count, sizes[1], width}, element);
    lastCell = lastHidden;
    for (int64_t i = 0; i < directions; ++i)
      buildDirection(i, sizes, width);
    l.set(op.getY(), all);
    l.set(op.getYH(), lastHidden);
    l.set(op.getYC(), lastCell);
    return success();
  }

private:
  LogicalResult checkAttributes() {
    if (Lowering::has(op.getSequenceLens()) || Lowering::has(op.getP()))
      return l.error() << "expected no operands 'sequence_lens' and 'P'";
    if (op.getActivations() || op.getClip() || op.getInputForget() ||
        op.getLayout())
      return l.error() << "expected default values of 'activations', 'clip', "
                          "'input_forget' and 'layout'";
    return success();
  }

  void buildDirection(int64_t direction, const Sizes &sizes,
                      OpFoldResult width) {
    OpFoldResult number = t.builder.getIndexAttr(direction);
    OpFoldResult zero = t.builder.getIndexAttr(0);
    Type element = getElement(input);
    // Steps x batch x (input, output, forget and cell gates).
    Value products = t.matmul(input, takeFirst(t, inputWeights, number));
    if (Value bias = l.get(op.getB())) {
      Value row = takeFirst(t, bias, number);
      OpFoldResult half = t.builder.getIndexAttr(4 * hidden);
      products =
          add(t, products,
              add(t, t.slice(row, 0, zero, half), t.slice(row, 0, half, half)));
    }
    auto getInitial = [&](Value original) {
      if (Value given = l.get(original))
        return takeFirst(t, given, number);
      return t.fill(t.constant(element, 0), {sizes[1], width});
    };
    Value hiddenState = getInitial(op.getInitialH());
    Value cellState = getInitial(op.getInitialC());
    Value weights = takeFirst(t, stateWeights, number);
    bool backward = op.getDirection() == "reverse" || direction == 1;
    Value last = t.sub(t.index(sizes[0]), t.index(1));
    auto shape = cast<RankedTensorType>(hiddenState.getType());
    SmallVector<Value> states = buildLoops(
        t, {sizes[0]}, {all, hiddenState, cellState},
        [&](TensorBuilder &inner, ValueRange step,
            ValueRange carried) -> SmallVector<Value> {
          Value place = backward ? inner.sub(last, step[0]) : step[0];
          Value gates = add(inner, takeFirst(inner, products, place),
                            inner.matmul(carried[1], weights));
          auto [nextHidden, nextCell] = buildCell(inner, gates, carried[2]);
          nextHidden = inner.retype(nextHidden, shape);
          nextCell = inner.retype(nextCell, shape);
          Value written = putSlice(inner, carried[0], nextHidden,
                                   {place, number, zero, zero});
          return {written, nextHidden, nextCell};
        });
    all = states[0];
    lastHidden = putSlice(t, lastHidden, states[1], {number, zero, zero});
    lastCell = putSlice(t, lastCell, states[2], {number, zero, zero});
  }

  std::pair<Value, Value> buildCell(TensorBuilder &inner, Value gates,
                                    Value cell) {
    Type element = getElement(gates), wide = getAccumulator(element);
    auto gate = [&](int64_t i) {
      return inner.slice(gates, 1, inner.builder.getIndexAttr(i * hidden),
                         inner.builder.getIndexAttr(hidden));
    };
    Value next = inner.map(
        {gate(0), gate(2), gate(3), cell}, element,
        [&](TensorBuilder &body, ValueRange v) {
          Value candidate = math::TanhOp::create(body.builder, body.loc,
                                                 body.convert(v[2], wide));
          Value added =
              body.mul(body.sigmoid(body.convert(v[0], wide)), candidate);
          Value kept = body.mul(body.sigmoid(body.convert(v[1], wide)),
                                body.convert(v[3], wide));
          return body.convert(body.add(kept, added), element);
        });
    Value result = inner.map(
        {gate(1), next}, element, [&](TensorBuilder &body, ValueRange v) {
          Value bounded = math::TanhOp::create(body.builder, body.loc,
                                               body.convert(v[1], wide));
          return body.convert(
              body.mul(body.sigmoid(body.convert(v[0], wide)), bounded),
              element);
        });
    return {result, next};
  }

  onnx::LSTMOp op;
  Lowering &l;
  TensorBuilder &t;
  Value input, inputWeights, stateWeights;
  int64_t directions = 0, hidden = 0;
  Value all, lastHidden, lastCell;
};

LogicalResult lowerLSTM(onnx::LSTMOp op, Lowering &l) {
  return LSTMBuilder(op, l).build();
}

} // namespace

void moe::addRecurrentLowerings(LoweringTable &table) { table.add(lowerLSTM); }
