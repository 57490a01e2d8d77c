//===- RecurrentCell.cpp - one step of a recurrent layer ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/RecurrentCell.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

//===----------------------------------------------------------------------===//
// Activations
//===----------------------------------------------------------------------===//

namespace {
struct KnownActivation {
  StringLiteral name;
  bool hasAlpha, hasBeta;
  double alpha, beta;
};
} // namespace

/// With the defaults of the operators of the same names.
static constexpr KnownActivation kActivations[] = {
    {"Relu", false, false, 0, 0},        {"Tanh", false, false, 0, 0},
    {"Sigmoid", false, false, 0, 0},     {"Softsign", false, false, 0, 0},
    {"Softplus", false, false, 0, 0},    {"Affine", true, true, 1, 0},
    {"LeakyRelu", true, false, 0.01, 0}, {"ThresholdedRelu", true, false, 1, 0},
    {"ScaledTanh", true, true, 1, 1},    {"HardSigmoid", true, true, 0.2, 0.5},
    {"Elu", true, false, 1, 0},
};

FailureOr<SmallVector<Activation>>
moe::getActivations(Lowering &l, ArrayRef<StringRef> names,
                    ArrayRef<float> alphas, ArrayRef<float> betas) {
  SmallVector<Activation> result;
  auto take = [](ArrayRef<float> &numbers, double otherwise) {
    if (numbers.empty())
      return otherwise;
    double number = numbers.front();
    numbers = numbers.drop_front();
    return number;
  };
  for (StringRef name : names) {
    const auto *known =
        llvm::find_if(kActivations, [&](const KnownActivation &candidate) {
          return candidate.name.equals_insensitive(name);
        });
    if (known == std::end(kActivations))
      return l.error() << "expected an activation of the standard, such as "
                          "Tanh, got '"
                       << name << "'";
    Activation activation{known->name, known->alpha, known->beta};
    if (known->hasAlpha)
      activation.alpha = take(alphas, known->alpha);
    if (known->hasBeta)
      activation.beta = take(betas, known->beta);
    result.push_back(activation);
  }
  return result;
}

Value Activation::apply(TensorBuilder &t, Value x) const {
  auto number = [&](double value) { return t.constant(x.getType(), value); };
  auto isAbove = [&](double bound) {
    return t.compare(arith::CmpIPredicate::sgt, arith::CmpFPredicate::OGT, x,
                     number(bound));
  };
  auto tanh = [&](Value argument) -> Value {
    return math::TanhOp::create(t.builder, t.loc, argument);
  };
  auto absolute = [&]() -> Value {
    return math::AbsFOp::create(t.builder, t.loc, x);
  };
  if (name == "Relu")
    return t.max(x, number(0));
  if (name == "Tanh")
    return tanh(x);
  if (name == "Sigmoid")
    return t.sigmoid(x);
  if (name == "Softsign")
    return t.div(x, t.add(number(1), absolute()));
  if (name == "Softplus") {
    Value negated = arith::NegFOp::create(t.builder, t.loc, absolute());
    Value power = math::ExpOp::create(t.builder, t.loc, negated);
    Value tail = math::Log1pOp::create(t.builder, t.loc, power);
    return t.add(t.max(x, number(0)), tail);
  }
  if (name == "Affine")
    return t.add(t.mul(number(alpha), x), number(beta));
  if (name == "LeakyRelu")
    return t.select(isAbove(0), x, t.mul(number(alpha), x));
  if (name == "ThresholdedRelu")
    return t.select(isAbove(alpha), x, number(0));
  if (name == "ScaledTanh")
    return t.mul(number(alpha), tanh(t.mul(number(beta), x)));
  if (name == "HardSigmoid") {
    Value line = t.add(t.mul(number(alpha), x), number(beta));
    return t.min(t.max(line, number(0)), number(1));
  }
  assert(name == "Elu" && "getActivations knows the names");
  Value power = math::ExpM1Op::create(t.builder, t.loc, x);
  return t.select(isAbove(0), x, t.mul(number(alpha), power));
}

//===----------------------------------------------------------------------===//
// Cells
//===----------------------------------------------------------------------===//

static Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

/// A function of the elements of `inputs`, computed in f32 or wider.
static Value mapWide(TensorBuilder &t, ValueRange inputs,
                     TensorBuilder::Body body) {
  Type element = getElement(inputs.front()), wide = getAccumulator(element);
  return t.map(inputs, element, [&](TensorBuilder &inner, ValueRange v) {
    SmallVector<Value> numbers;
    for (Value number : v)
      numbers.push_back(inner.convert(number, wide));
    return inner.convert(body(inner, numbers), element);
  });
}

static Value add(TensorBuilder &t, Value a, Value b) {
  return t.map({a, b}, getElement(a), [](TensorBuilder &inner, ValueRange v) {
    return inner.add(v[0], v[1]);
  });
}

Value RecurrentCell::activate(TensorBuilder &t, unsigned which, Value x) const {
  if (clip)
    x = t.min(t.max(x, t.constant(x.getType(), -*clip)),
              t.constant(x.getType(), *clip));
  return activations[which].apply(t, x);
}

Value RecurrentCell::takeGates(TensorBuilder &t, Value gates, int64_t first,
                               int64_t count) const {
  return t.slice(gates, 1, t.builder.getIndexAttr(first * hidden),
                 t.builder.getIndexAttr(count * hidden));
}

/// The state times the weights of the gates from `first` on.
Value RecurrentCell::multiply(TensorBuilder &t, Value state, int64_t first,
                              int64_t count) const {
  Value part =
      count == getGateCount() ? weights : takeGates(t, weights, first, count);
  return t.matmul(state, part);
}

Value RecurrentCell::stepRNN(TensorBuilder &t, Value gates, Value state) const {
  return mapWide(t, {gates, multiply(t, state, 0, 1)},
                 [&](TensorBuilder &inner, ValueRange v) {
                   return activate(inner, 0, inner.add(v[0], v[1]));
                 });
}

Value RecurrentCell::stepGRU(TensorBuilder &t, Value gates, Value state) const {
  // Update and reset gate, then the candidate.
  Value both = add(t, takeGates(t, gates, 0, 2), multiply(t, state, 0, 2));
  Value opened = mapWide(t, both, [&](TensorBuilder &inner, ValueRange v) {
    return activate(inner, 0, v[0]);
  });
  Value update = takeGates(t, opened, 0, 1), reset = takeGates(t, opened, 1, 1);
  auto times = [](TensorBuilder &inner, ValueRange v) {
    return inner.mul(v[0], v[1]);
  };
  Value part;
  if (linearBeforeReset) {
    part = multiply(t, state, 2, 1);
    if (innerBias)
      part = add(t, part, innerBias);
    part = mapWide(t, {reset, part}, times);
  } else {
    part = multiply(t, mapWide(t, {reset, state}, times), 2, 1);
  }
  return mapWide(
      t, {takeGates(t, gates, 2, 1), part, update, state},
      [&](TensorBuilder &inner, ValueRange v) {
        Value candidate = activate(inner, 1, inner.add(v[0], v[1]));
        Value rest = inner.sub(inner.constant(v[2].getType(), 1), v[2]);
        return inner.add(inner.mul(rest, candidate), inner.mul(v[2], v[3]));
      });
}

std::pair<Value, Value> RecurrentCell::stepLSTM(TensorBuilder &t, Value gates,
                                                Value state, Value cell) const {
  // Input, output and forget gate, then the candidate.
  gates = add(t, gates, multiply(t, state, 0, 4));
  SmallVector<Value> inputs = {takeGates(t, gates, 0, 1),
                               takeGates(t, gates, 2, 1),
                               takeGates(t, gates, 3, 1), cell};
  auto peephole = [&](int64_t i) {
    OpFoldResult width = t.builder.getIndexAttr(hidden);
    return t.slice(peepholes, 0, t.builder.getIndexAttr(i * hidden), width);
  };
  if (peepholes)
    inputs.append({peephole(0), peephole(2)});
  Value next = mapWide(t, inputs, [&](TensorBuilder &inner, ValueRange v) {
    auto shift = [&](Value gate, unsigned i) {
      return peepholes ? inner.add(gate, inner.mul(v[4 + i], v[3])) : gate;
    };
    Value opened = activate(inner, 0, shift(v[0], 0));
    Value kept = coupleForget
                     ? inner.sub(inner.constant(opened.getType(), 1), opened)
                     : activate(inner, 0, shift(v[1], 1));
    return inner.add(inner.mul(kept, v[3]),
                     inner.mul(opened, activate(inner, 1, v[2])));
  });
  inputs = {takeGates(t, gates, 1, 1), next};
  if (peepholes)
    inputs.push_back(peephole(1));
  Value result = mapWide(t, inputs, [&](TensorBuilder &inner, ValueRange v) {
    Value gate =
        peepholes ? inner.add(v[0], inner.mul(v[2], v[1])) : Value(v[0]);
    return inner.mul(activate(inner, 0, gate),
                     activations[2].apply(inner, v[1]));
  });
  return {result, next};
}

SmallVector<Value> RecurrentCell::step(TensorBuilder &t, Value gates,
                                       ValueRange states) const {
  switch (kind) {
  case CellKind::RNN:
    return {stepRNN(t, gates, states[0])};
  case CellKind::GRU:
    return {stepGRU(t, gates, states[0])};
  case CellKind::LSTM:
    auto [state, cell] = stepLSTM(t, gates, states[0], states[1]);
    return {state, cell};
  }
  llvm_unreachable("unknown kind of cell");
}
