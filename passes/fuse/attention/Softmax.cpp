//===- Softmax.cpp - the softmax in an expression ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/fuse/attention/Softmax.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

using Kind = Expression::Kind;

static const Expression *operand(const Expression *e, unsigned i) {
  return e->operands[i]->stripCasts();
}

static bool isZero(const Expression *e) {
  return e->isConstant([](const APFloat &x) { return x.isZero(); });
}

static bool isOne(const Expression *e) {
  return e->isConstant([](const APFloat &x) { return x.isExactlyValue(1.0); });
}

static bool isNegativeInfinity(const Expression *e) {
  return e->isConstant(
      [](const APFloat &x) { return x.isInfinity() && x.isNegative(); });
}

static bool isComparison(const Expression *e, arith::CmpFPredicate predicate) {
  return e->is<arith::CmpFOp>() &&
         cast<arith::CmpFOp>(e->op).getPredicate() == predicate;
}

/// `x` of `x == special ? zero : otherwise`.
static const Expression *
matchGuard(const Expression *e, const Expression *&otherwise,
           function_ref<bool(const Expression *)> isSpecial) {
  if (!e->is<arith::SelectOp>() || !isZero(operand(e, 1)))
    return nullptr;
  const Expression *condition = e->operands[0];
  if (!isComparison(condition, arith::CmpFPredicate::OEQ) ||
      !isSpecial(operand(condition, 1)))
    return nullptr;
  otherwise = operand(e, 2);
  return operand(condition, 0);
}

/// `x` of `x is NaN ? zero : x`.
static const Expression *matchNaNGuard(const Expression *e) {
  if (!e->is<arith::SelectOp>() || !isZero(operand(e, 1)))
    return nullptr;
  const Expression *condition = e->operands[0];
  const Expression *value = operand(e, 2);
  if (!isComparison(condition, arith::CmpFPredicate::UNO) ||
      operand(condition, 0) != value || operand(condition, 1) != value)
    return nullptr;
  return value;
}

namespace {

/// The parts of a softmax around the greatest score.
struct Bound {
  const Expression *score = nullptr;
  const Expression *sink = nullptr;
  bool isGuarded = false;
};

std::optional<Bound> matchBound(const Expression *e) {
  Bound bound;
  const Expression *otherwise;
  if (const Expression *guarded =
          matchGuard(e, otherwise, isNegativeInfinity)) {
    if (guarded != otherwise)
      return std::nullopt;
    bound.isGuarded = true;
    e = guarded;
  }
  if (e->is<arith::MaximumFOp>() || e->is<arith::MaxNumFOp>()) {
    unsigned place = operand(e, 0)->kind == Kind::Max ? 0 : 1;
    bound.sink = operand(e, 1 - place);
    e = operand(e, place);
  }
  if (e->kind != Kind::Max)
    return std::nullopt;
  bound.score = operand(e, 0);
  return bound;
}

/// `exp(x - bound)`: `x` and the bound.
std::pair<const Expression *, const Expression *>
matchPower(const Expression *e) {
  if (!e->is<math::ExpOp>())
    return {};
  const Expression *distance = operand(e, 0);
  if (!distance->is<arith::SubFOp>())
    return {};
  return {operand(distance, 0), operand(distance, 1)};
}

/// A score less something that is the same for all keys has the same softmax.
const Expression *stripShift(const Expression *score) {
  while (score->is<arith::SubFOp>()) {
    std::optional<Bound> bound = matchBound(operand(score, 1));
    if (!bound || bound->sink || bound->score != operand(score, 0))
      break;
    score = operand(score, 0);
  }
  return score;
}

} // namespace

std::optional<Softmax> moe::matchSoftmax(const Expression *weights) {
  Softmax result;
  const Expression *e = weights->stripCasts();
  if (const Expression *value = matchNaNGuard(e)) {
    result.maskedIsZero = true;
    e = value;
  }
  const Expression *otherwise, *sum = nullptr;
  bool isSumGuarded = false;
  if (const Expression *guarded = matchGuard(e, otherwise, isZero)) {
    isSumGuarded = true;
    sum = guarded;
    e = otherwise;
  }
  const Expression *power = nullptr, *divisor = nullptr;
  if (e->is<arith::DivFOp>()) {
    power = operand(e, 0);
    divisor = operand(e, 1);
  } else if (e->is<arith::MulFOp>()) {
    for (unsigned place : {0, 1}) {
      const Expression *factor = operand(e, place);
      if (!factor->is<arith::DivFOp>() || !isOne(operand(factor, 0)))
        continue;
      divisor = operand(factor, 1);
      power = operand(e, 1 - place);
    }
  }
  if (!power || (sum && sum != divisor))
    return std::nullopt;
  auto [score, boundExpression] = matchPower(power);
  if (!score)
    return std::nullopt;
  std::optional<Bound> bound = matchBound(boundExpression);
  if (!bound || bound->score != score)
    return std::nullopt;
  if (divisor->is<arith::AddFOp>() && bound->sink) {
    unsigned place = operand(divisor, 0)->kind == Kind::Sum ? 0 : 1;
    auto [sink, sinkBound] = matchPower(operand(divisor, 1 - place));
    if (sink != bound->sink || sinkBound != boundExpression)
      return std::nullopt;
    result.sink = sink;
    divisor = operand(divisor, place);
  }
  if (divisor->kind != Kind::Sum || operand(divisor, 0) != power ||
      bound->sink != result.sink)
    return std::nullopt;
  result.score = result.sink ? score : stripShift(score);
  if (result.score->kind == Kind::Join) {
    if (result.sink)
      return std::nullopt;
    result.sink = operand(result.score, 1);
    result.score = operand(result.score, 0);
    result.isJoined = true;
  }
  result.maskedIsZero |= isSumGuarded && bound->isGuarded;
  return result;
}
