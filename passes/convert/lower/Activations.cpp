//===- Activations.cpp - lowering of the rarer element-wise operators -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Lowering.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

using Function = function_ref<Value(TensorBuilder &, ValueRange)>;

Type getElement(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getElementType();
}

/// A function of the elements of `operands`, computed in f32 or wider.
void lowerWide(Lowering &l, ValueRange operands, Value result,
               Function compute) {
  SmallVector<Value> inputs;
  for (Value operand : operands)
    inputs.push_back(l.get(operand));
  Type element = getElement(inputs.front());
  l.set(result,
        l.tensors.map(
            inputs, element,
            [&](TensorBuilder &t, ValueRange arguments) {
              SmallVector<Value> wide;
              for (Value argument : arguments)
                wide.push_back(t.convert(argument, getAccumulator(element)));
              return t.convert(compute(t, wide), element);
            },
            l.getUncertainDims(operands)));
}

Value number(TensorBuilder &t, Value like, double value) {
  return t.constant(like.getType(), value);
}

Value number(TensorBuilder &t, Value like, const APFloat &value) {
  return number(t, like, value.convertToDouble());
}

Value isPositive(TensorBuilder &t, Value x) {
  return t.compare(arith::CmpIPredicate::sgt, arith::CmpFPredicate::OGT, x,
                   number(t, x, 0.0));
}

Value expMinusOne(TensorBuilder &t, Value x) {
  return math::ExpM1Op::create(t.builder, t.loc, x);
}

template <typename Op, typename MathOp>
LogicalResult lowerMath(Op op, Lowering &l) {
  lowerWide(l, op->getOperand(0), op->getResult(0),
            [](TensorBuilder &t, ValueRange v) -> Value {
              return MathOp::create(t.builder, t.loc, v[0]);
            });
  return success();
}

LogicalResult lowerMean(onnx::MeanOp op, Lowering &l) {
  lowerWide(l, op->getOperands(), op.getMean(),
            [](TensorBuilder &t, ValueRange v) {
              Value sum = v[0];
              for (Value next : v.drop_front())
                sum = t.add(sum, next);
              return t.div(sum, number(t, sum, double(v.size())));
            });
  return success();
}

LogicalResult lowerElu(onnx::EluOp op, Lowering &l) {
  lowerWide(l, op.getX(), op.getY(), [&](TensorBuilder &t, ValueRange v) {
    return t.select(
        isPositive(t, v[0]), v[0],
        t.mul(number(t, v[0], op.getAlpha()), expMinusOne(t, v[0])));
  });
  return success();
}

LogicalResult lowerSelu(onnx::SeluOp op, Lowering &l) {
  lowerWide(l, op.getX(), op.getY(), [&](TensorBuilder &t, ValueRange v) {
    Value tail = t.mul(number(t, v[0], op.getAlpha()), expMinusOne(t, v[0]));
    return t.mul(number(t, v[0], op.getGamma()),
                 t.select(isPositive(t, v[0]), v[0], tail));
  });
  return success();
}

LogicalResult lowerCelu(onnx::CeluOp op, Lowering &l) {
  lowerWide(l, op.getX(), op.getY(), [&](TensorBuilder &t, ValueRange v) {
    Value alpha = number(t, v[0], op.getAlpha());
    Value tail = t.mul(alpha, expMinusOne(t, t.div(v[0], alpha)));
    return t.select(isPositive(t, v[0]), v[0], tail);
  });
  return success();
}

LogicalResult lowerLeakyRelu(onnx::LeakyReluOp op, Lowering &l) {
  lowerWide(l, op.getX(), op.getY(), [&](TensorBuilder &t, ValueRange v) {
    return t.select(isPositive(t, v[0]), v[0],
                    t.mul(number(t, v[0], op.getAlpha()), v[0]));
  });
  return success();
}

LogicalResult lowerPRelu(onnx::PReluOp op, Lowering &l) {
  lowerWide(l, {op.getX(), op.getSlope()}, op.getY(),
            [](TensorBuilder &t, ValueRange v) {
              return t.select(isPositive(t, v[0]), v[0], t.mul(v[0], v[1]));
            });
  return success();
}

LogicalResult lowerThresholdedRelu(onnx::ThresholdedReluOp op, Lowering &l) {
  lowerWide(l, op.getX(), op.getY(), [&](TensorBuilder &t, ValueRange v) {
    Value isAbove =
        t.compare(arith::CmpIPredicate::sgt, arith::CmpFPredicate::OGT, v[0],
                  number(t, v[0], op.getAlpha()));
    return t.select(isAbove, v[0], number(t, v[0], 0.0));
  });
  return success();
}

/// min(1, max(0, alpha x + beta))
Value hardSigmoid(TensorBuilder &t, Value x, double alpha, double beta) {
  Value line = t.add(t.mul(number(t, x, alpha), x), number(t, x, beta));
  return t.min(t.max(line, number(t, x, 0.0)), number(t, x, 1.0));
}

LogicalResult lowerHardSigmoid(onnx::HardSigmoidOp op, Lowering &l) {
  lowerWide(l, op.getX(), op.getY(), [&](TensorBuilder &t, ValueRange v) {
    return hardSigmoid(t, v[0], op.getAlpha().convertToDouble(),
                       op.getBeta().convertToDouble());
  });
  return success();
}

LogicalResult lowerHardSwish(onnx::HardSwishOp op, Lowering &l) {
  lowerWide(l, op.getX(), op.getY(), [](TensorBuilder &t, ValueRange v) {
    return t.mul(v[0], hardSigmoid(t, v[0], 1.0 / 6.0, 0.5));
  });
  return success();
}

/// x tanh(log(1 + exp(x)))
LogicalResult lowerMish(onnx::MishOp op, Lowering &l) {
  lowerWide(l, op.getX(), op.getY(), [](TensorBuilder &t, ValueRange v) {
    Value x = v[0];
    Value size = math::AbsFOp::create(t.builder, t.loc, x);
    Value power = math::ExpOp::create(
        t.builder, t.loc, arith::NegFOp::create(t.builder, t.loc, size));
    Value softplus = t.add(t.max(x, number(t, x, 0.0)),
                           math::Log1pOp::create(t.builder, t.loc, power));
    return t.mul(x, math::TanhOp::create(t.builder, t.loc, softplus));
  });
  return success();
}

LogicalResult lowerSoftsign(onnx::SoftsignOp op, Lowering &l) {
  lowerWide(l, op.getInput(), op.getOutput(),
            [](TensorBuilder &t, ValueRange v) {
              Value size = math::AbsFOp::create(t.builder, t.loc, v[0]);
              return t.div(v[0], t.add(number(t, v[0], 1.0), size));
            });
  return success();
}

LogicalResult lowerShrink(onnx::ShrinkOp op, Lowering &l) {
  lowerWide(l, op.getInput(), op.getOutput(),
            [&](TensorBuilder &t, ValueRange v) {
              Value x = v[0], zero = number(t, x, 0.0);
              Value bias = number(t, x, op.getBias());
              double limit = op.getLambd().convertToDouble();
              auto below = [&](Value a, Value b) {
                return t.compare(arith::CmpIPredicate::slt,
                                 arith::CmpFPredicate::OLT, a, b);
              };
              return t.select(below(x, number(t, x, -limit)), t.add(x, bias),
                              t.select(below(number(t, x, limit), x),
                                       t.sub(x, bias), zero));
            });
  return success();
}

LogicalResult lowerFastGelu(onnx::MicrosoftFastGeluOp op, Lowering &l) {
  SmallVector<Value> operands = {op.getX()};
  if (Lowering::has(op.getBias()))
    operands.push_back(op.getBias());
  lowerWide(l, operands, op.getY(), [](TensorBuilder &t, ValueRange v) {
    Value x = v.size() == 2 ? t.add(v[0], v[1]) : v[0];
    Value cube = t.mul(t.mul(x, x), x);
    Value argument = t.mul(number(t, x, 0.7978845608028654),
                           t.add(x, t.mul(number(t, x, 0.044715), cube)));
    Value inner = math::TanhOp::create(t.builder, t.loc, argument);
    return t.mul(t.mul(number(t, x, 0.5), x), t.add(number(t, x, 1.0), inner));
  });
  return success();
}

/// x / 2 * (1 + erf(x / sqrt(2)))
Value buildGelu(TensorBuilder &t, Value x) {
  Value inner = math::ErfOp::create(t.builder, t.loc,
                                    t.mul(x, number(t, x, 0.7071067811865476)));
  return t.mul(t.mul(number(t, x, 0.5), x), t.add(number(t, x, 1.0), inner));
}

LogicalResult lowerBiasGelu(onnx::MicrosoftBiasGeluOp op, Lowering &l) {
  lowerWide(l, {op.getA(), op.getB()}, op.getC(),
            [](TensorBuilder &t, ValueRange v) {
              return buildGelu(t, t.add(v[0], v[1]));
            });
  return success();
}

LogicalResult lowerMicrosoftGelu(onnx::MicrosoftGeluOp op, Lowering &l) {
  lowerWide(l, op.getX(), op.getY(),
            [](TensorBuilder &t, ValueRange v) { return buildGelu(t, v[0]); });
  return success();
}

template <typename Op, typename ArithOp>
LogicalResult lowerBitwise(Op op, Lowering &l) {
  Value a = l.get(op->getOperand(0)), b = l.get(op->getOperand(1));
  l.set(op->getResult(0), l.tensors.map(
                              {a, b}, getElement(a),
                              [](TensorBuilder &t, ValueRange v) -> Value {
                                return ArithOp::create(t.builder, t.loc, v[0],
                                                       v[1]);
                              },
                              l.getUncertainDims(op->getOperands())));
  return success();
}

LogicalResult lowerBitwiseNot(onnx::BitwiseNotOp op, Lowering &l) {
  Value x = l.get(op.getX());
  l.set(op.getY(), l.tensors.map(x, getElement(x),
                                 [](TensorBuilder &t, ValueRange v) -> Value {
                                   Value ones = t.constant(v[0].getType(), -1);
                                   return arith::XOrIOp::create(
                                       t.builder, t.loc, v[0], ones);
                                 }));
  return success();
}

/// A shift by a negative amount, or by the width or more, leaves the sign: zero
/// for a shift to the left.
LogicalResult lowerBitShift(onnx::BitShiftOp op, Lowering &l) {
  Value x = l.get(op.getX()), y = l.get(op.getY());
  Type element = getElement(x);
  bool isUnsigned = Lowering::isUnsigned(op.getX());
  bool left = op.getDirection() == "LEFT";
  if (!left && op.getDirection() != "RIGHT")
    return l.error() << "expected the direction LEFT or RIGHT, got '"
                     << op.getDirection() << "'";
  unsigned width = element.getIntOrFloatBitWidth();
  l.set(op.getZ(),
        l.tensors.map(
            {x, y}, element,
            [&](TensorBuilder &t, ValueRange v) -> Value {
              OpBuilder &b = t.builder;
              // Negative amounts are large ones without a sign.
              Value fits =
                  arith::CmpIOp::create(b, t.loc, arith::CmpIPredicate::ult,
                                        v[1], t.constant(element, width));
              Value zero = t.constant(element, 0);
              if (left)
                return t.select(fits,
                                arith::ShLIOp::create(
                                    b, t.loc, v[0], t.select(fits, v[1], zero)),
                                zero);
              if (isUnsigned)
                return t.select(fits,
                                arith::ShRUIOp::create(
                                    b, t.loc, v[0], t.select(fits, v[1], zero)),
                                zero);
              Value most = t.constant(element, width - 1);
              return arith::ShRSIOp::create(b, t.loc, v[0],
                                            t.select(fits, v[1], most));
            },
            l.getUncertainDims({op.getX(), op.getY()})));
  return success();
}

} // namespace

void moe::addActivationLowerings(LoweringTable &table) {
  table.add(lowerMath<onnx::AcosOp, math::AcosOp>);
  table.add(lowerMath<onnx::AcoshOp, math::AcoshOp>);
  table.add(lowerMath<onnx::AsinOp, math::AsinOp>);
  table.add(lowerMath<onnx::AsinhOp, math::AsinhOp>);
  table.add(lowerMath<onnx::AtanOp, math::AtanOp>);
  table.add(lowerMath<onnx::AtanhOp, math::AtanhOp>);
  table.add(lowerMath<onnx::CoshOp, math::CoshOp>);
  table.add(lowerMath<onnx::SinhOp, math::SinhOp>);
  table.add(lowerMath<onnx::TanOp, math::TanOp>);
  table.add(lowerMean);
  table.add(lowerElu);
  table.add(lowerSelu);
  table.add(lowerCelu);
  table.add(lowerLeakyRelu);
  table.add(lowerPRelu);
  table.add(lowerThresholdedRelu);
  table.add(lowerHardSigmoid);
  table.add(lowerHardSwish);
  table.add(lowerMish);
  table.add(lowerSoftsign);
  table.add(lowerShrink);
  table.add(lowerFastGelu);
  table.add(lowerBiasGelu);
  table.add(lowerMicrosoftGelu);
  table.add(lowerBitwiseNot);
  table.add(lowerBitShift);
  table.add(lowerBitwise<onnx::BitwiseAndOp, arith::AndIOp>);
  table.add(lowerBitwise<onnx::BitwiseOrOp, arith::OrIOp>);
  table.add(lowerBitwise<onnx::BitwiseXorOp, arith::XOrIOp>);
}
