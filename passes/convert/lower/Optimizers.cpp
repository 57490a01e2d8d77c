//===- Optimizers.cpp - lowering of one step of an optimizer ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The operands are the rate, the number of the step and then, for all trained
// tensors, the tensors, their gradients and each kind of state.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Lowering.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Computes the new tensor and states from the old ones; `v` is tensor,
/// gradient, states.
using Step = function_ref<SmallVector<Value>(TensorBuilder &, ValueRange v,
                                             Value rate, Value count)>;

Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

LogicalResult lowerSteps(Operation *op, Lowering &l, unsigned states,
                         Step step) {
  TensorBuilder &t = l.tensors;
  unsigned each = 2 + states;
  if (op->getNumOperands() < 2 || (op->getNumOperands() - 2) % each != 0 ||
      op->getNumResults() * each != (op->getNumOperands() - 2) * (1 + states))
    return l.error() << "expected rate, count and " << each
                     << " operands for each trained tensor, got "
                     << op->getNumOperands() << " operands and "
                     << op->getNumResults() << " results";
  auto readScalar = [&](Value original) {
    Value tensor = l.get(original);
    return t.extract(
        tensor,
        SmallVector<Value>(Lowering::getType(tensor).getRank(), t.index(0)));
  };
  Value rate = readScalar(op->getOperand(0));
  Value count = readScalar(op->getOperand(1));
  unsigned tensors = (op->getNumOperands() - 2) / each;
  for (unsigned i = 0; i < tensors; ++i) {
    SmallVector<Value> inputs;
    for (unsigned kind = 0; kind < each; ++kind)
      inputs.push_back(l.get(op->getOperand(2 + kind * tensors + i)));
    Type element = getElement(inputs.front());
    for (unsigned kind = 0; kind <= states; ++kind)
      l.set(op->getResult(kind * tensors + i),
            t.map(inputs, element, [&](TensorBuilder &b, ValueRange v) {
              return step(b, v, b.convert(rate, element), count)[kind];
            }));
  }
  return success();
}

Value number(TensorBuilder &b, Value like, const APFloat &value) {
  return b.constant(like.getType(), value.convertToDouble());
}

/// The gradient of the tensor with a penalty on its size.
template <typename Op> Value regularize(Op op, TensorBuilder &b, ValueRange v) {
  return b.add(b.mul(number(b, v[0], op.getNormCoefficient()), v[0]), v[1]);
}

Value squareRoot(TensorBuilder &b, Value x) {
  return math::SqrtOp::create(b.builder, b.loc, x);
}

/// `yes` from the second step on, else `no`.
Value afterFirst(TensorBuilder &b, Value count, Value yes, Value no) {
  Value isLater =
      b.compare(arith::CmpIPredicate::sgt, arith::CmpFPredicate::OGT, count,
                b.constant(count.getType(), 0));
  return b.select(isLater, yes, no);
}

LogicalResult lowerAdagrad(onnx::TrainingAdagradOp op, Lowering &l) {
  return lowerSteps(
      op, l, 1,
      [&](TensorBuilder &b, ValueRange v, Value rate,
          Value count) -> SmallVector<Value> {
        Value one = b.constant(rate.getType(), 1);
        Value steps = b.convert(count, rate.getType());
        Value decay = b.mul(steps, number(b, rate, op.getDecayFactor()));
        Value gradient = regularize(op, b, v);
        Value sum = b.add(v[2], b.mul(gradient, gradient));
        Value size =
            b.add(squareRoot(b, sum), number(b, rate, op.getEpsilon()));
        Value slowed = b.div(rate, b.add(one, decay));
        return {b.sub(v[0], b.div(b.mul(slowed, gradient), size)), sum};
      });
}

LogicalResult lowerAdam(onnx::TrainingAdamOp op, Lowering &l) {
  return lowerSteps(
      op, l, 2,
      [&](TensorBuilder &b, ValueRange v, Value rate,
          Value count) -> SmallVector<Value> {
        Value one = b.constant(rate.getType(), 1);
        Value steps = b.convert(count, rate.getType());
        Value alpha = number(b, rate, op.getAlpha());
        Value beta = number(b, rate, op.getBeta());
        auto blend = [&](Value weight, Value old, Value next) {
          return b.add(b.mul(weight, old), b.mul(b.sub(one, weight), next));
        };
        auto rest = [&](Value base) {
          Value power = math::PowFOp::create(b.builder, b.loc, base, steps);
          return b.sub(one, power);
        };
        Value gradient = regularize(op, b, v);
        Value mean = blend(alpha, v[2], gradient);
        Value square = blend(beta, v[3], b.mul(gradient, gradient));
        Value size =
            b.add(squareRoot(b, square), number(b, rate, op.getEpsilon()));
        Value corrected =
            b.div(b.mul(rate, squareRoot(b, rest(beta))), rest(alpha));
        rate = afterFirst(b, count, corrected, rate);
        Value next = b.sub(v[0], b.div(b.mul(rate, mean), size));
        Value kept = b.sub(one, number(b, rate, op.getNormCoefficientPost()));
        return {b.mul(kept, next), mean, square};
      });
}

LogicalResult lowerMomentum(onnx::TrainingMomentumOp op, Lowering &l) {
  bool isNesterov = op.getMode() == "nesterov";
  if (!isNesterov && op.getMode() != "standard")
    return l.error() << "expected the mode 'standard' or 'nesterov', got '"
                     << op.getMode() << "'";
  return lowerSteps(
      op, l, 1,
      [&](TensorBuilder &b, ValueRange v, Value rate,
          Value count) -> SmallVector<Value> {
        Value one = b.constant(rate.getType(), 1);
        Value alpha = number(b, rate, op.getAlpha());
        Value beta = afterFirst(b, count, number(b, rate, op.getBeta()), one);
        Value gradient = regularize(op, b, v);
        Value momentum = b.add(b.mul(alpha, v[2]), b.mul(beta, gradient));
        Value direction =
            isNesterov ? b.add(gradient, b.mul(alpha, momentum)) : momentum;
        return {b.sub(v[0], b.mul(rate, direction)), momentum};
      });
}

} // namespace

void moe::addOptimizerLowerings(LoweringTable &table) {
  table.add(lowerAdagrad);
  table.add(lowerAdam);
  table.add(lowerMomentum);
}
