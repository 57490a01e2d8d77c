//===- ReferenceExperts.cpp - loops for experts -----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/Reference.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

using State = LoopBuilder::State;

namespace {

Value add(LoopBuilder &b, Value x, Value y) {
  return arith::AddFOp::create(b, x, y);
}

Value mul(LoopBuilder &b, Value x, Value y) {
  return arith::MulFOp::create(b, x, y);
}

Value sigmoid(LoopBuilder &b, Value x) {
  Value power = math::ExpOp::create(b, Value(arith::NegFOp::create(b, x)));
  return arith::DivFOp::create(b, b.f32(1), add(b, b.f32(1), power));
}

/// sum_i row[i] * matrix[leading..., i, column]
Value buildDot(LoopBuilder &b, Value count, Value matrix, ValueRange leading,
               Value column, function_ref<Value(Value)> row) {
  return b.loop(b.index(0), count, b.f32(0), [&](Value i, Value sum) {
    SmallVector<Value> indices(leading);
    indices.append({i, column});
    return add(b, sum, mul(b, row(i), b.load(matrix, indices)));
  });
}

Value applyKind(LoopBuilder &b, ActivationAttr activation, Value x) {
  auto number = [&](double value) { return b.f32(value); };
  switch (activation.getKind()) {
  case ActivationKind::Silu: {
    double alpha = activation.getAlpha().getValueAsDouble();
    Value argument = alpha == 1.0 ? x : mul(b, number(alpha), x);
    return mul(b, x, sigmoid(b, argument));
  }
  case ActivationKind::Gelu: {
    Value inner = math::ErfOp::create(b, mul(b, x, number(0.7071067811865476)));
    return mul(b, mul(b, number(0.5), x), add(b, number(1), inner));
  }
  case ActivationKind::GeluTanh: {
    Value cube = mul(b, mul(b, x, x), x);
    Value argument = mul(b, number(0.7978845608028654),
                         add(b, x, mul(b, number(0.044715), cube)));
    Value inner = math::TanhOp::create(b, argument);
    return mul(b, mul(b, number(0.5), x), add(b, number(1), inner));
  }
  case ActivationKind::Relu:
  case ActivationKind::Relu2: {
    Value positive = arith::MaximumFOp::create(b, x, number(0));
    return activation.getKind() == ActivationKind::Relu
               ? positive
               : mul(b, positive, positive);
  }
  case ActivationKind::Identity:
    return x;
  case ActivationKind::Tanh:
    return math::TanhOp::create(b, x);
  case ActivationKind::Sigmoid:
    return sigmoid(b, x);
  case ActivationKind::LeakyRelu:
  case ActivationKind::Elu: {
    Value low = x;
    if (activation.getKind() == ActivationKind::Elu)
      low =
          arith::SubFOp::create(b, Value(math::ExpOp::create(b, x)), number(1));
    low = mul(b, number(activation.getAlpha().getValueAsDouble()), low);
    return b.select(b.isGreater(x, number(0)), x, low);
  }
  }
  return x;
}

} // namespace

Value moe::buildActivation(LoopBuilder &b, ActivationAttr activation,
                           Value gate, Value up) {
  double limit = activation.getLimit().getValueAsDouble();
  if (std::isfinite(limit)) {
    Value high = b.f32(limit), low = b.f32(-limit);
    if (gate)
      gate = arith::MinimumFOp::create(b, gate, high);
    up = arith::MaximumFOp::create(
        b, Value(arith::MinimumFOp::create(b, up, high)), low);
  }
  if (!gate)
    return applyKind(b, activation, up);
  double offset = activation.getUpOffset().getValueAsDouble();
  if (offset != 0.0)
    up = add(b, up, b.f32(offset));
  return mul(b, applyKind(b, activation, gate), up);
}

Value moe::lowerGroupedMatmul(GroupedMatmulOp op) {
  LoopBuilder b(op.getLoc(), op);
  Value x = op.getX(), weights = op.getWeights(), offsets = op.getOffsets();
  Type element = cast<RankedTensorType>(op.getType()).getElementType();
  Value zero = b.index(0), experts = b.size(weights, 0);
  Value inner = b.size(weights, 1), width = b.size(weights, 2);
  Value count = b.size(op.getRows() ? op.getRows() : x, 0);
  Value result = b.empty({count, width}, element);
  return b.loop(zero, experts, result, [&](Value e, Value outer) {
    Value begin = b.toIndex(b.load(offsets, e));
    Value end = b.toIndex(
        b.load(offsets, Value(arith::AddIOp::create(b, e, b.index(1)))));
    return b.loop(begin, end, outer, [&](Value s, Value rows) {
      Value source = s;
      if (op.getRows())
        source = arith::DivUIOp::create(b, b.toIndex(b.load(op.getRows(), s)),
                                        b.index(op.getSlots()));
      return b.loop(zero, width, rows, [&](Value n, Value state) {
        Value sum = buildDot(b, inner, weights, e, n,
                             [&](Value i) { return b.load(x, {source, i}); });
        if (op.getBias())
          sum = add(b, sum, b.load(op.getBias(), {e, n}));
        return b.store(sum, state, {s, n});
      });
    });
  });
}

Value moe::lowerShared(SharedOp op) {
  LoopBuilder b(op.getLoc(), op);
  Value x = op.getX();
  Type element = cast<RankedTensorType>(op.getType()).getElementType();
  Value zero = b.index(0), tokens = b.size(x, 0), width = b.size(x, 1);
  Value inner = b.size(op.getUp(), 1), outWidth = b.size(op.getDown(), 1);
  Value hidden = b.empty(inner, b.getF32Type());
  Value result = b.empty({tokens, outWidth}, element);
  return b.loop(zero, tokens, {result, hidden}, [&](Value t, ValueRange state) {
    auto row = [&](Value i) { return b.load(x, {t, i}); };
    Value h = b.loop(zero, inner, state[1], [&](Value f, Value s) {
      Value gate =
          op.getGate() ? buildDot(b, width, op.getGate(), {}, f, row) : Value();
      Value up = buildDot(b, width, op.getUp(), {}, f, row);
      return b.store(buildActivation(b, op.getActivation(), gate, up), s, f);
    });
    Value factor;
    if (op.getTokenGate())
      factor = sigmoid(b, b.load(op.getTokenGate(), {t, zero}));
    Value y = b.loop(zero, outWidth, state[0], [&](Value n, Value s) {
      Value sum = buildDot(b, inner, op.getDown(), {}, n,
                           [&](Value f) { return b.load(h, f); });
      return b.store(factor ? mul(b, factor, sum) : sum, s, {t, n});
    });
    return State{y, h};
  })[0];
}

Value moe::lowerFusedFFN(FusedFFNOp op) {
  LoopBuilder b(op.getLoc(), op);
  Value x = op.getX(), offsets = op.getOffsets(), weights = op.getWeights();
  Type element = cast<RankedTensorType>(op.getType()).getElementType();
  bool onInput = op.getApply() == ApplyWeight::Input;
  Value zero = b.index(0), tokens = b.size(x, 0), width = b.size(x, 1);
  Value experts = b.size(op.getUp(), 0), inner = b.size(op.getUp(), 2);
  Value outWidth = b.size(op.getDown(), 2), slots = b.size(weights, 1);
  Value hidden = b.empty(inner, b.getF32Type());
  // Sums stay in f32 until all experts of a token are added.
  Value sums = b.filled({tokens, outWidth}, b.f32(0));
  State state =
      b.loop(zero, experts, {sums, hidden}, [&](Value e, ValueRange outer) {
        Value begin = b.toIndex(b.load(offsets, e));
        Value end = b.toIndex(
            b.load(offsets, Value(arith::AddIOp::create(b, e, b.index(1)))));
        return b.loop(begin, end, outer, [&](Value s, ValueRange carried) {
          Value assignment = b.toIndex(b.load(op.getRows(), s));
          Value token = arith::DivUIOp::create(b, assignment, slots);
          Value slot = arith::RemUIOp::create(b, assignment, slots);
          Value weight = b.load(weights, {token, slot});
          auto row = [&](Value i) {
            Value v = b.load(x, {token, i});
            return onInput ? mul(b, weight, v) : v;
          };
          Value h = b.loop(zero, inner, carried[1], [&](Value f, Value hs) {
            Value gate;
            if (op.getGate()) {
              gate = buildDot(b, width, op.getGate(), e, f, row);
              if (op.getGateBias())
                gate = add(b, gate, b.load(op.getGateBias(), {e, f}));
            }
            Value up = buildDot(b, width, op.getUp(), e, f, row);
            if (op.getUpBias())
              up = add(b, up, b.load(op.getUpBias(), {e, f}));
            return b.store(buildActivation(b, op.getActivation(), gate, up), hs,
                           f);
          });
          Value y = b.loop(zero, outWidth, carried[0], [&](Value n, Value ys) {
            Value sum = buildDot(b, inner, op.getDown(), e, n,
                                 [&](Value f) { return b.load(h, f); });
            if (op.getDownBias())
              sum = add(b, sum, b.load(op.getDownBias(), {e, n}));
            if (!onInput)
              sum = mul(b, weight, sum);
            return b.store(add(b, b.load(ys, {token, n}), sum), ys, {token, n});
          });
          return State{y, h};
        });
      });
  if (element.isF32())
    return state[0];
  return b.loop(zero, tokens, b.empty({tokens, outWidth}, element),
                [&](Value t, Value outer) {
                  return b.loop(zero, outWidth, outer, [&](Value n, Value s) {
                    return b.store(b.load(state[0], {t, n}), s, {t, n});
                  });
                });
}
