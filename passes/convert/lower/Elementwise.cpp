//===- Elementwise.cpp - lowering of element-wise operators -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Lowering.h"
#include "passes/convert/lower/NarrowTypes.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Functions of narrow floating-point numbers are computed in f32.
Value computeWide(TensorBuilder &t, Value x,
                  function_ref<Value(TensorBuilder &, Value)> compute) {
  Type type = x.getType();
  return t.convert(compute(t, t.convert(x, getAccumulator(type))), type);
}

template <typename Op>
LogicalResult lowerUnary(Op op, Lowering &l,
                         function_ref<Value(TensorBuilder &, Value)> compute) {
  Value x = l.get(op->getOperand(0));
  Type element = cast<RankedTensorType>(x.getType()).getElementType();
  l.set(op->getResult(0),
        l.tensors.map(x, element, [&](TensorBuilder &t, ValueRange v) {
          return isa<FloatType>(element) ? computeWide(t, v[0], compute)
                                         : compute(t, v[0]);
        }));
  return success();
}

/// An operator with one operation of the math dialect behind it.
template <typename Op, typename MathOp>
LogicalResult lowerMath(Op op, Lowering &l) {
  return lowerUnary(op, l, [](TensorBuilder &t, Value x) -> Value {
    return MathOp::create(t.builder, t.loc, x);
  });
}

/// Element-wise over all operands, from the left.
LogicalResult
lowerFold(Operation *op, Lowering &l,
          function_ref<Value(TensorBuilder &, Value, Value)> combine) {
  Value result = op->getResult(0);
  Type element =
      cast<RankedTensorType>(getPlainType(result.getType())).getElementType();
  Value sum = l.get(op->getOperand(0));
  if (op->getNumOperands() == 1) {
    l.set(result, sum);
    return success();
  }
  SmallVector<Value> operands;
  for (Value operand : op->getOperands())
    operands.push_back(l.get(operand));
  l.set(result, l.tensors.map(
                    operands, element,
                    [&](TensorBuilder &t, ValueRange v) {
                      Value folded = v[0];
                      for (Value next : v.drop_front())
                        folded = combine(t, folded, next);
                      return folded;
                    },
                    l.getUncertainDims(op->getOperands())));
  return success();
}

#define FOLD(NAME, EXPRESSION)                                                 \
  LogicalResult lower##NAME(onnx::NAME##Op op, Lowering &l) {                  \
    bool isUnsigned = Lowering::isUnsigned(op->getOperand(0));                 \
    (void)isUnsigned;                                                          \
    return lowerFold(op, l, [&](TensorBuilder &t, Value a, Value b) -> Value { \
      return EXPRESSION;                                                       \
    });                                                                        \
  }

FOLD(Add, t.add(a, b))
FOLD(Sub, t.sub(a, b))
FOLD(Mul, t.mul(a, b))
FOLD(Div, t.div(a, b, isUnsigned))
FOLD(Max, t.max(a, b, isUnsigned))
FOLD(Min, t.min(a, b, isUnsigned))
FOLD(Sum, t.add(a, b))
FOLD(And, arith::AndIOp::create(t.builder, t.loc, a, b))
FOLD(Or, arith::OrIOp::create(t.builder, t.loc, a, b))
FOLD(Xor, arith::XOrIOp::create(t.builder, t.loc, a, b))

#define COMPARE(NAME, INTEGER, UNSIGNED, REAL)                                 \
  FOLD(NAME, t.compare(isUnsigned ? arith::CmpIPredicate::UNSIGNED             \
                                  : arith::CmpIPredicate::INTEGER,             \
                       arith::CmpFPredicate::REAL, a, b))

COMPARE(Equal, eq, eq, OEQ)
COMPARE(Less, slt, ult, OLT)
COMPARE(LessOrEqual, sle, ule, OLE)
COMPARE(Greater, sgt, ugt, OGT)
COMPARE(GreaterOrEqual, sge, uge, OGE)

/// The floating-point remainder with the sign of the divisor.
Value takeSign(TensorBuilder &t, Value rest, Value divisor) {
  Value zero = t.constant(rest.getType(), 0);
  auto isNegative = [&](Value v) {
    return t.compare(arith::CmpIPredicate::slt, arith::CmpFPredicate::OLT, v,
                     zero);
  };
  Value differ = arith::XOrIOp::create(t.builder, t.loc, isNegative(rest),
                                       isNegative(divisor));
  Value isZero = t.compare(arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ,
                           rest, zero);
  Value signedZero = math::CopySignOp::create(t.builder, t.loc, zero, divisor);
  return t.select(isZero, signedZero,
                  t.select(differ, t.add(rest, divisor), rest));
}

LogicalResult lowerMod(onnx::ModOp op, Lowering &l) {
  bool isUnsigned = Lowering::isUnsigned(op.getA());
  bool fmod = op.getFmod();
  return lowerFold(op, l, [&](TensorBuilder &t, Value a, Value b) -> Value {
    Type type = a.getType();
    if (isa<FloatType>(type)) {
      Value rest = arith::RemFOp::create(t.builder, t.loc, a, b);
      return fmod ? rest : takeSign(t, rest, b);
    }
    Value rest = t.sub(a, t.mul(t.div(a, b, isUnsigned), b));
    if (fmod || isUnsigned)
      return rest;
    // The result has the sign of the divisor.
    Value zero = t.constant(a.getType(), 0);
    auto isNegative = [&](Value v) {
      return t.compare(arith::CmpIPredicate::slt, arith::CmpFPredicate::OLT, v,
                       zero);
    };
    Value differ = arith::XOrIOp::create(t.builder, t.loc, isNegative(rest),
                                         isNegative(b));
    Value isRest = t.compare(arith::CmpIPredicate::ne,
                             arith::CmpFPredicate::ONE, rest, zero);
    Value adjust = arith::AndIOp::create(t.builder, t.loc, differ, isRest);
    return t.select(adjust, t.add(rest, b), rest);
  });
}

LogicalResult lowerPow(onnx::PowOp op, Lowering &l) {
  Value x = l.get(op.getX()), y = l.get(op.getY());
  Type element = cast<RankedTensorType>(x.getType()).getElementType();
  std::optional<double> exponent = Lowering::getConstantNumber(op.getY());
  auto power = [&](TensorBuilder &t, ValueRange v) -> Value {
    if (exponent == 2.0)
      return t.mul(v[0], v[0]);
    Type wide = isa<FloatType>(element) ? getAccumulator(element)
                                        : Type(t.builder.getF64Type());
    Value base = t.convert(v[0], wide);
    if (exponent == 0.5)
      return t.convert(math::SqrtOp::create(t.builder, t.loc, base), element);
    return t.convert(
        math::PowFOp::create(t.builder, t.loc, base, t.convert(v[1], wide)),
        element);
  };
  l.set(op.getZ(), l.tensors.map({x, y}, element, power,
                                 l.getUncertainDims({op.getX(), op.getY()})));
  return success();
}

LogicalResult lowerWhere(onnx::WhereOp op, Lowering &l) {
  Value yes = l.get(op.getX());
  Type element = cast<RankedTensorType>(yes.getType()).getElementType();
  l.set(op.getOutput(),
        l.tensors.map(
            {l.get(op.getCondition()), yes, l.get(op.getY())}, element,
            [](TensorBuilder &t, ValueRange v) {
              return t.select(v[0], v[1], v[2]);
            },
            l.getUncertainDims({op.getCondition(), op.getX(), op.getY()})));
  return success();
}

LogicalResult lowerClip(onnx::ClipOp op, Lowering &l) {
  SmallVector<Value> operands = {l.get(op.getInput())};
  bool hasMin = Lowering::has(op.getMin()), hasMax = Lowering::has(op.getMax());
  bool isUnsigned = Lowering::isUnsigned(op.getInput());
  if (hasMin)
    operands.push_back(l.get(op.getMin()));
  if (hasMax)
    operands.push_back(l.get(op.getMax()));
  Type element =
      cast<RankedTensorType>(operands.front().getType()).getElementType();
  l.set(op.getOutput(),
        l.tensors.map(operands, element, [&](TensorBuilder &t, ValueRange v) {
          Value x = v[0];
          if (hasMin)
            x = t.max(x, v[1], isUnsigned);
          if (hasMax)
            x = t.min(x, v.back(), isUnsigned);
          return x;
        }));
  return success();
}

template <typename Op> LogicalResult lowerConversion(Op op, Lowering &l) {
  Value from = op.getInput(), to = op.getOutput();
  Type source = Lowering::getType(from).getElementType();
  Type target = Lowering::getType(to).getElementType();
  Narrowing narrowing;
  narrowing.saturate = op.getSaturate();
  narrowing.roundMode = op.getRoundMode();
  l.set(to, l.tensors.map(l.get(from), getStoredType(target),
                          [&](TensorBuilder &t, ValueRange v) {
                            return convertElement(t, v[0], source, target,
                                                  narrowing);
                          }));
  return success();
}

LogicalResult lowerBitCast(onnx::BitCastOp op, Lowering &l) {
  Type source = Lowering::getType(op.getInput()).getElementType();
  Type target = Lowering::getType(op.getOutput()).getElementType();
  // A boolean takes a byte.
  auto getWidth = [](Type type) {
    return std::max(8u, type.getIntOrFloatBitWidth());
  };
  Type stored = getStoredType(target);
  if (getWidth(source) != getWidth(target) ||
      getWidth(getStoredType(source)) != getWidth(stored))
    return l.error() << "expected types of equal width, got " << source
                     << " and " << target;
  l.set(op.getOutput(),
        l.tensors.map(l.get(op.getInput()), stored,
                      [&](TensorBuilder &t, ValueRange v) -> Value {
                        Type own = v[0].getType();
                        if (own == stored)
                          return v[0];
                        if (own.isInteger(1))
                          return t.convert(v[0], stored, /*fromUnsigned=*/true);
                        if (stored.isInteger(1))
                          return t.compare(arith::CmpIPredicate::ne,
                                           arith::CmpFPredicate::UNE, v[0],
                                           t.constant(own, 0));
                        return arith::BitcastOp::create(t.builder, t.loc,
                                                        stored, v[0]);
                      }));
  return success();
}

LogicalResult lowerNot(onnx::NotOp op, Lowering &l) {
  return lowerUnary(op, l, [](TensorBuilder &t, Value x) -> Value {
    return arith::XOrIOp::create(t.builder, t.loc, x,
                                 t.constant(x.getType(), 1));
  });
}

LogicalResult lowerNeg(onnx::NegOp op, Lowering &l) {
  return lowerUnary(op, l, [](TensorBuilder &t, Value x) -> Value {
    if (isa<FloatType>(x.getType()))
      return arith::NegFOp::create(t.builder, t.loc, x);
    return t.sub(t.constant(x.getType(), 0), x);
  });
}

LogicalResult lowerAbs(onnx::AbsOp op, Lowering &l) {
  return lowerUnary(op, l, [](TensorBuilder &t, Value x) -> Value {
    if (isa<FloatType>(x.getType()))
      return math::AbsFOp::create(t.builder, t.loc, x);
    return math::AbsIOp::create(t.builder, t.loc, x);
  });
}

LogicalResult lowerReciprocal(onnx::ReciprocalOp op, Lowering &l) {
  return lowerUnary(op, l, [](TensorBuilder &t, Value x) {
    return t.div(t.constant(x.getType(), 1), x);
  });
}

LogicalResult lowerSigmoid(onnx::SigmoidOp op, Lowering &l) {
  return lowerUnary(op, l,
                    [](TensorBuilder &t, Value x) { return t.sigmoid(x); });
}

LogicalResult lowerSwish(onnx::SwishOp op, Lowering &l) {
  double alpha = op.getAlpha().convertToDouble();
  return lowerUnary(op, l, [&](TensorBuilder &t, Value x) {
    return t.mul(x, t.sigmoid(t.mul(t.constant(x.getType(), alpha), x)));
  });
}

LogicalResult lowerQuickGelu(onnx::MicrosoftQuickGeluOp op, Lowering &l) {
  double alpha = op.getAlpha().convertToDouble();
  return lowerUnary(op, l, [&](TensorBuilder &t, Value x) {
    return t.mul(x, t.sigmoid(t.mul(t.constant(x.getType(), alpha), x)));
  });
}

LogicalResult lowerRelu(onnx::ReluOp op, Lowering &l) {
  return lowerUnary(op, l, [](TensorBuilder &t, Value x) {
    return t.max(x, t.constant(x.getType(), 0));
  });
}

/// log(1 + exp(x)) = max(x, 0) + log1p(exp(-|x|))
LogicalResult lowerSoftplus(onnx::SoftplusOp op, Lowering &l) {
  return lowerUnary(op, l, [](TensorBuilder &t, Value x) -> Value {
    Value size = math::AbsFOp::create(t.builder, t.loc, x);
    Value negated = arith::NegFOp::create(t.builder, t.loc, size);
    Value power = math::ExpOp::create(t.builder, t.loc, negated);
    Value tail = math::Log1pOp::create(t.builder, t.loc, power);
    return t.add(t.max(x, t.constant(x.getType(), 0)), tail);
  });
}

LogicalResult lowerGelu(onnx::GeluOp op, Lowering &l) {
  bool useTanh = op.getApproximate() == "tanh";
  return lowerUnary(op, l, [&](TensorBuilder &t, Value x) -> Value {
    auto number = [&](double value) { return t.constant(x.getType(), value); };
    Value inner;
    if (useTanh) {
      Value cube = t.mul(t.mul(x, x), x);
      Value argument = t.mul(number(0.7978845608028654),
                             t.add(x, t.mul(number(0.044715), cube)));
      inner = math::TanhOp::create(t.builder, t.loc, argument);
    } else {
      inner = math::ErfOp::create(t.builder, t.loc,
                                  t.mul(x, number(0.7071067811865476)));
    }
    return t.mul(t.mul(number(0.5), x), t.add(number(1), inner));
  });
}

LogicalResult lowerSign(onnx::SignOp op, Lowering &l) {
  return lowerUnary(op, l, [](TensorBuilder &t, Value x) {
    Value zero = t.constant(x.getType(), 0);
    Value above = t.compare(arith::CmpIPredicate::sgt,
                            arith::CmpFPredicate::OGT, x, zero);
    Value below = t.compare(arith::CmpIPredicate::slt,
                            arith::CmpFPredicate::OLT, x, zero);
    return t.select(above, t.constant(x.getType(), 1),
                    t.select(below, t.constant(x.getType(), -1), zero));
  });
}

template <typename Op>
LogicalResult lowerPredicate(Op op, Lowering &l,
                             function_ref<Value(TensorBuilder &, Value)> test) {
  l.set(op->getResult(0),
        l.tensors.map(
            l.get(op->getOperand(0)), l.tensors.builder.getI1Type(),
            [&](TensorBuilder &t, ValueRange v) { return test(t, v[0]); }));
  return success();
}

LogicalResult lowerIsNaN(onnx::IsNaNOp op, Lowering &l) {
  return lowerPredicate(op, l, [](TensorBuilder &t, Value x) -> Value {
    return arith::CmpFOp::create(t.builder, t.loc, arith::CmpFPredicate::UNO, x,
                                 x);
  });
}

LogicalResult lowerIsInf(onnx::IsInfOp op, Lowering &l) {
  bool positive = op.getDetectPositive(), negative = op.getDetectNegative();
  return lowerPredicate(op, l, [&](TensorBuilder &t, Value x) -> Value {
    auto equals = [&](bool high) {
      return t.compare(arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ, x,
                       t.extreme(x.getType(), high));
    };
    Value result = t.constant(t.builder.getI1Type(), 0);
    if (positive)
      result = arith::OrIOp::create(t.builder, t.loc, result, equals(true));
    if (negative)
      result = arith::OrIOp::create(t.builder, t.loc, result, equals(false));
    return result;
  });
}

LogicalResult lowerIdentity(onnx::IdentityOp op, Lowering &l) {
  l.set(op.getOutput(), l.get(op.getInput()));
  return success();
}

} // namespace

void moe::addElementwiseLowerings(LoweringTable &table) {
  table.add(lowerAdd);
  table.add(lowerSub);
  table.add(lowerMul);
  table.add(lowerDiv);
  table.add(lowerMax);
  table.add(lowerMin);
  table.add(lowerSum);
  table.add(lowerAnd);
  table.add(lowerOr);
  table.add(lowerXor);
  table.add(lowerEqual);
  table.add(lowerLess);
  table.add(lowerLessOrEqual);
  table.add(lowerGreater);
  table.add(lowerGreaterOrEqual);
  table.add(lowerMod);
  table.add(lowerPow);
  table.add(lowerWhere);
  table.add(lowerClip);
  table.add(lowerConversion<onnx::CastOp>);
  table.add(lowerConversion<onnx::CastLikeOp>);
  table.add(lowerBitCast);
  table.add(lowerNot);
  table.add(lowerNeg);
  table.add(lowerAbs);
  table.add(lowerReciprocal);
  table.add(lowerSigmoid);
  table.add(lowerSwish);
  table.add(lowerQuickGelu);
  table.add(lowerRelu);
  table.add(lowerSoftplus);
  table.add(lowerGelu);
  table.add(lowerSign);
  table.add(lowerIsNaN);
  table.add(lowerIsInf);
  table.add(lowerIdentity);
  table.add(lowerMath<onnx::SqrtOp, math::SqrtOp>);
  table.add(lowerMath<onnx::ExpOp, math::ExpOp>);
  table.add(lowerMath<onnx::LogOp, math::LogOp>);
  table.add(lowerMath<onnx::SinOp, math::SinOp>);
  table.add(lowerMath<onnx::CosOp, math::CosOp>);
  table.add(lowerMath<onnx::TanhOp, math::TanhOp>);
  table.add(lowerMath<onnx::ErfOp, math::ErfOp>);
  table.add(lowerMath<onnx::FloorOp, math::FloorOp>);
  table.add(lowerMath<onnx::CeilOp, math::CeilOp>);
  table.add(lowerMath<onnx::RoundOp, math::RoundEvenOp>);
}
