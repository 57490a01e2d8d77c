//===- VectorActivation.cpp - activations of experts on vectors -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/VectorActivation.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Arithmetic on values of one type.
class Emitter {
public:
  Emitter(ImplicitLocOpBuilder &b, Type type) : b(b), type(type) {}

  Value constant(double value) {
    TypedAttr scalar = b.getF32FloatAttr(value);
    if (auto shaped = dyn_cast<ShapedType>(type))
      scalar = SplatElementsAttr::get(shaped, scalar);
    return arith::ConstantOp::create(b, scalar);
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(b, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(b, x, y); }
  Value scale(Value x, double factor) {
    return factor == 1.0 ? x : mul(x, constant(factor));
  }

  /// `x * sigmoid(alpha * x)`.
  Value silu(Value x, double alpha) {
    Value power = math::ExpOp::create(b, scale(x, -alpha));
    return arith::DivFOp::create(b, x, add(constant(1.0), power));
  }

  Value sigmoid(Value x) {
    Value power = math::ExpOp::create(b, scale(x, -1.0));
    return arith::DivFOp::create(b, constant(1.0), add(constant(1.0), power));
  }

  /// `x` above zero, `factor * low` elsewhere, also for NaN.
  Value bend(Value x, Value low, double factor) {
    Value isHigh =
        arith::CmpFOp::create(b, arith::CmpFPredicate::OGT, x, constant(0.0));
    return arith::SelectOp::create(b, isHigh, x, scale(low, factor));
  }

  Value gelu(Value x) {
    Value erf = math::ErfOp::create(b, scale(x, 0.70710678118654752));
    return mul(scale(x, 0.5), add(constant(1.0), erf));
  }

  /// The approximation by tanh.
  Value geluTanh(Value x) {
    Value cube = mul(mul(x, x), x);
    Value inner = scale(add(x, scale(cube, 0.044715)), 0.79788456080286536);
    Value tanh = math::TanhOp::create(b, inner);
    return mul(scale(x, 0.5), add(constant(1.0), tanh));
  }

  Value relu(Value x) { return arith::MaximumFOp::create(b, x, constant(0.0)); }

  Value activate(ActivationAttr activation, Value x) {
    switch (activation.getKind()) {
    case ActivationKind::Silu:
      return silu(x, activation.getAlpha().getValueAsDouble());
    case ActivationKind::Gelu:
      return gelu(x);
    case ActivationKind::GeluTanh:
      return geluTanh(x);
    case ActivationKind::Relu:
      return relu(x);
    case ActivationKind::Relu2: {
      Value positive = relu(x);
      return mul(positive, positive);
    }
    case ActivationKind::Identity:
      return x;
    case ActivationKind::Tanh:
      return math::TanhOp::create(b, x);
    case ActivationKind::Sigmoid:
      return sigmoid(x);
    case ActivationKind::LeakyRelu:
      return bend(x, x, activation.getAlpha().getValueAsDouble());
    case ActivationKind::Elu: {
      Value power = math::ExpOp::create(b, x);
      return bend(x, add(power, constant(-1.0)),
                  activation.getAlpha().getValueAsDouble());
    }
    }
    llvm_unreachable("unknown activation");
  }

  Value atMost(Value x, double limit) {
    return arith::MinimumFOp::create(b, x, constant(limit));
  }
  Value atLeast(Value x, double limit) {
    return arith::MaximumFOp::create(b, x, constant(limit));
  }

private:
  ImplicitLocOpBuilder &b;
  Type type;
};

} // namespace

Value moe::emitActivation(ImplicitLocOpBuilder &b, ActivationAttr activation,
                          Value gate, Value up) {
  Emitter emitter(b, up.getType());
  if (!gate)
    return emitter.activate(activation, up);
  double limit = activation.getLimit().getValueAsDouble();
  if (std::isfinite(limit)) {
    gate = emitter.atMost(gate, limit);
    up = emitter.atLeast(emitter.atMost(up, limit), -limit);
  }
  double offset = activation.getUpOffset().getValueAsDouble();
  if (offset != 0.0)
    up = emitter.add(up, emitter.constant(offset));
  return emitter.mul(emitter.activate(activation, gate), up);
}
