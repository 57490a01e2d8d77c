//===- Recurrent.cpp - lowering of recurrent layers -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The products with the inputs of all steps are one product of matrices; a loop
// over the steps carries the states. RNN, GRU and LSTM differ in their cell.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"
#include "passes/convert/lower/RecurrentCell.h"

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

/// Operands, attributes and results of a layer; those that its kind does not
/// have are empty.
struct Layer {
  CellKind kind;
  Value x, w, r, b, sequenceLens, initialH, initialC, p;
  Value y, yH, yC;
  StringRef direction;
  bool batchFirst, linearBeforeReset = false, coupleForget = false;
  std::optional<double> clip;
  SmallVector<StringRef> activations;
  ArrayRef<float> alphas, betas;
};

template <typename Op>
Layer getLayer(Op op, CellKind kind, ArrayRef<StringRef> activations) {
  Layer layer;
  layer.kind = kind;
  layer.x = op.getX();
  layer.w = op.getW();
  layer.r = op.getR();
  layer.b = op.getB();
  layer.sequenceLens = op.getSequenceLens();
  layer.initialH = op.getInitialH();
  layer.y = op.getY();
  layer.yH = op.getYH();
  layer.direction = op.getDirection();
  layer.batchFirst = op.getLayout() != 0;
  if (std::optional<APFloat> clip = op.getClip())
    layer.clip = clip->convertToDouble();
  layer.activations.assign(activations.begin(), activations.end());
  if (layer.direction == "bidirectional")
    layer.activations.append(activations.begin(), activations.end());
  if (std::optional<ArrayAttr> names = op.getActivations()) {
    layer.activations.clear();
    for (auto name : names->template getAsRange<StringAttr>())
      layer.activations.push_back(name.getValue());
  }
  if (std::optional<ArrayRef<float>> given = op.getActivationAlpha())
    layer.alphas = *given;
  if (std::optional<ArrayRef<float>> given = op.getActivationBeta())
    layer.betas = *given;
  return layer;
}

class RecurrentBuilder {
public:
  RecurrentBuilder(const Layer &layer, Lowering &l)
      : layer(layer), l(l), t(l.tensors) {}

  LogicalResult build() {
    if (failed(readShapes()) || failed(readCells()))
      return failure();
    Type element = getElement(input);
    OpFoldResult count = t.builder.getIndexAttr(cells.size());
    all = t.empty({steps, count, batch, width}, element);
    // The last values of each state, for all directions.
    last.assign(layer.kind == CellKind::LSTM ? 2 : 1,
                t.empty({count, batch, width}, element));
    for (size_t i = 0; i < cells.size(); ++i)
      buildDirection(i);
    setResult(layer.y, all, {2, 0, 1, 3});
    setResult(layer.yH, last.front(), {1, 0, 2});
    setResult(layer.yC, last.back(), {1, 0, 2});
    return success();
  }

private:
  /// States a result, which has the batch in front if the layer says so.
  void setResult(Value result, Value lowered, ArrayRef<int64_t> batchFirst) {
    if (!Lowering::has(result))
      return;
    l.set(result,
          layer.batchFirst ? t.transpose(lowered, batchFirst) : lowered);
  }

  LogicalResult readShapes() {
    input = l.get(layer.x);
    auto hasRank = [](Value value, int64_t rank) {
      return !Lowering::has(value) ||
             Lowering::getType(value).getRank() == rank;
    };
    if (!hasRank(layer.x, 3) || !hasRank(layer.w, 3) || !hasRank(layer.r, 3) ||
        !hasRank(layer.b, 2) || !hasRank(layer.p, 2) ||
        !hasRank(layer.sequenceLens, 1) || !hasRank(layer.initialH, 3) ||
        !hasRank(layer.initialC, 3))
      return l.error() << "expected input, weights and states of rank 3, "
                          "biases of rank 2 and lengths of rank 1, got an "
                          "input "
                       << Lowering::getType(layer.x) << " and weights "
                       << Lowering::getType(layer.w);
    if (layer.batchFirst)
      input = t.transpose(input, {1, 0, 2});
    inputWeights = permute(t, l.get(layer.w), {0, 2, 1});
    stateWeights = permute(t, l.get(layer.r), {0, 2, 1});
    if (!llvm::is_contained({"forward", "reverse", "bidirectional"},
                            layer.direction))
      return l.error() << "expected the direction 'forward', 'reverse' or "
                          "'bidirectional', got '"
                       << layer.direction << "'";
    directions = layer.direction == "bidirectional" ? 2 : 1;
    hidden = Lowering::getType(stateWeights).getDimSize(1);
    if (Lowering::getType(inputWeights).getDimSize(0) != directions ||
        Lowering::getType(stateWeights).getDimSize(0) != directions ||
        ShapedType::isDynamic(hidden))
      return l.error() << "expected weights of " << directions
                       << " directions and a known hidden size, got "
                       << Lowering::getType(layer.r);
    steps = t.size(input, 0);
    batch = t.size(input, 1);
    width = t.builder.getIndexAttr(hidden);
    OpFoldResult count = t.builder.getIndexAttr(directions);
    Sizes state = {count, batch, width};
    if (layer.batchFirst)
      std::swap(state[0], state[1]);
    int64_t gates = layer.kind == CellKind::RNN   ? 1
                    : layer.kind == CellKind::GRU ? 3
                                                  : 4;
    return success(
        succeeded(checkShape(layer.initialH, state)) &&
        succeeded(checkShape(layer.initialC, state)) &&
        succeeded(checkShape(layer.sequenceLens, batch)) &&
        succeeded(checkShape(
            layer.b, {count, t.builder.getIndexAttr(2 * gates * hidden)})) &&
        succeeded(
            checkShape(layer.p, {count, t.builder.getIndexAttr(3 * hidden)})));
  }

  /// Checks the extents of an operand, which may be left out.
  LogicalResult checkShape(Value original, ArrayRef<OpFoldResult> wanted) {
    Value tensor = l.get(original);
    if (!tensor)
      return success();
    for (auto [own, expected] : llvm::zip_equal(t.sizes(tensor), wanted)) {
      std::optional<int64_t> known = getConstantIntValue(own);
      std::optional<int64_t> other = getConstantIntValue(expected);
      if (known && other && *known != *other)
        return l.error() << "expected an extent of " << *other << ", got "
                         << *known << " in " << Lowering::getType(original);
      t.checkEqual(own, expected,
                   "a recurrent layer has operands that do not fit");
    }
    return success();
  }

  LogicalResult readCells() {
    FailureOr<SmallVector<Activation>> activations =
        getActivations(l, layer.activations, layer.alphas, layer.betas);
    if (failed(activations))
      return failure();
    size_t each = layer.kind == CellKind::LSTM  ? 3
                  : layer.kind == CellKind::GRU ? 2
                                                : 1;
    if (activations->size() != each * directions)
      return l.error() << "expected " << each * directions
                       << " activations, got " << activations->size();
    for (int64_t i = 0; i < directions; ++i) {
      OpFoldResult number = t.builder.getIndexAttr(i);
      RecurrentCell cell;
      cell.kind = layer.kind;
      cell.hidden = hidden;
      cell.activations =
          SmallVector<Activation>(ArrayRef(*activations).slice(i * each, each));
      cell.clip = layer.clip;
      cell.linearBeforeReset = layer.linearBeforeReset;
      cell.coupleForget = layer.coupleForget;
      cell.weights = takeFirst(t, stateWeights, number);
      if (Value peepholes = l.get(layer.p))
        cell.peepholes = takeFirst(t, peepholes, number);
      int64_t gates = cell.getGateCount() * hidden;
      if (Lowering::getType(inputWeights).getDimSize(2) != gates ||
          Lowering::getType(stateWeights).getDimSize(2) != gates)
        return l.error() << "expected weights of " << gates
                         << " rows for each direction, got "
                         << Lowering::getType(layer.w) << " and "
                         << Lowering::getType(layer.r);
      cells.push_back(cell);
    }
    return success();
  }

  /// Adds the biases of the input and of the state to the products, but for the
  /// part of a GRU that goes into its reset.
  Value addBias(Value products, RecurrentCell &cell, OpFoldResult number) {
    Value bias = l.get(layer.b);
    if (!bias)
      return products;
    Value row = takeFirst(t, bias, number);
    OpFoldResult zero = t.builder.getIndexAttr(0);
    OpFoldResult half = t.builder.getIndexAttr(cell.getGateCount() * hidden);
    Value ofInput = t.slice(row, 0, zero, half);
    Value ofState = t.slice(row, 0, half, half);
    if (cell.kind == CellKind::GRU && cell.linearBeforeReset) {
      OpFoldResult two = t.builder.getIndexAttr(2 * hidden);
      cell.innerBias = t.slice(ofState, 0, two, width);
      Value none = t.fill(t.constant(getElement(row), 0), {width});
      ofState = t.concat({t.slice(ofState, 0, zero, two), none}, 0);
    }
    return add(t, products, add(t, ofInput, ofState));
  }

  void buildDirection(int64_t direction) {
    OpFoldResult number = t.builder.getIndexAttr(direction);
    OpFoldResult zero = t.builder.getIndexAttr(0);
    RecurrentCell &cell = cells[direction];
    // Steps x batch x gates.
    Value products = addBias(
        t.matmul(input, takeFirst(t, inputWeights, number)), cell, number);
    SmallVector<Value> carried = {all, getInitial(layer.initialH, number)};
    if (layer.kind == CellKind::LSTM)
      carried.push_back(getInitial(layer.initialC, number));
    bool backward = layer.direction == "reverse" || direction == 1;
    Value end = t.sub(t.index(steps), t.index(1));
    Value lengths = l.get(layer.sequenceLens);
    SmallVector<Value> states = buildLoops(
        t, {steps}, carried,
        [&](TensorBuilder &inner, ValueRange step, ValueRange state) {
          Value place = backward ? inner.sub(end, step[0]) : step[0];
          ValueRange old = state.drop_front();
          SmallVector<Value> next =
              cell.step(inner, takeFirst(inner, products, place), old);
          for (auto [value, before] : llvm::zip_equal(next, old))
            value = inner.retype(value, Lowering::getType(before));
          Value written = next.front();
          if (lengths) {
            written = whereInside(inner, lengths, place, written, Value());
            for (auto [value, before] : llvm::zip_equal(next, old))
              value = whereInside(inner, lengths, place, value, before);
          }
          next.insert(next.begin(), putSlice(inner, state[0], written,
                                             {place, number, zero, zero}));
          return next;
        });
    all = states[0];
    for (auto [target, state] :
         llvm::zip_equal(last, ArrayRef(states).drop_front()))
      target = putSlice(t, target, state, {number, zero, zero});
  }

  Value getInitial(Value original, OpFoldResult number) {
    if (Value given = l.get(original))
      return takeFirst(
          t, layer.batchFirst ? t.transpose(given, {1, 0, 2}) : given, number);
    return t.fill(t.constant(getElement(input), 0), {batch, width});
  }

  /// `value` in the rows whose sequence is not over at `place`, else `other`;
  /// zero if that is null.
  Value whereInside(TensorBuilder &inner, Value lengths, Value place,
                    Value value, Value other) {
    RankedTensorType type = Lowering::getType(value);
    SmallVector<Value> inputs = {value, inner.insertUnit(lengths, 1)};
    if (other)
      inputs.push_back(other);
    Value chosen = inner.map(
        inputs, type.getElementType(), [&](TensorBuilder &body, ValueRange v) {
          Value here = body.convert(place, v[1].getType());
          Value isInside =
              compareIndex(body, arith::CmpIPredicate::slt, here, v[1]);
          Value otherwise =
              v.size() == 3 ? Value(v[2]) : body.constant(v[0].getType(), 0);
          return body.select(isInside, v[0], otherwise);
        });
    return inner.retype(chosen, type);
  }

  const Layer &layer;
  Lowering &l;
  TensorBuilder &t;
  Value input, inputWeights, stateWeights;
  int64_t directions = 0, hidden = 0;
  OpFoldResult steps, batch, width;
  SmallVector<RecurrentCell> cells;
  Value all;
  SmallVector<Value> last;
};

LogicalResult lowerRNN(onnx::RNNOp op, Lowering &l) {
  return RecurrentBuilder(getLayer(op, CellKind::RNN, {"Tanh"}), l).build();
}

LogicalResult lowerGRU(onnx::GRUOp op, Lowering &l) {
  Layer layer = getLayer(op, CellKind::GRU, {"Sigmoid", "Tanh"});
  layer.linearBeforeReset = op.getLinearBeforeReset() != 0;
  return RecurrentBuilder(layer, l).build();
}

LogicalResult lowerLSTM(onnx::LSTMOp op, Lowering &l) {
  Layer layer = getLayer(op, CellKind::LSTM, {"Sigmoid", "Tanh", "Tanh"});
  layer.initialC = op.getInitialC();
  layer.p = op.getP();
  layer.yC = op.getYC();
  layer.coupleForget = op.getInputForget() != 0;
  return RecurrentBuilder(layer, l).build();
}

} // namespace

void moe::addRecurrentLowerings(LoweringTable &table) {
  table.add(lowerRNN);
  table.add(lowerGRU);
  table.add(lowerLSTM);
}
