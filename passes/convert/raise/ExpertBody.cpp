//===- ExpertBody.cpp - the feed-forward network of an expert ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/ExpertBody.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// A value with the clamp that is applied to it.
struct Clamped {
  Value source;
  std::optional<double> low, high;
};

Clamped matchClamp(Value value) {
  value = skipReshapes(value);
  Clamped result{value, std::nullopt, std::nullopt};
  if (auto clip = value.getDefiningOp<onnx::ClipOp>()) {
    result.source = skipReshapes(clip.getInput());
    if (isPresent(clip.getMin()))
      result.low = getNumber(clip.getMin());
    if (isPresent(clip.getMax()))
      result.high = getNumber(clip.getMax());
    // A bound that is no constant is no clamp that we know.
    if ((isPresent(clip.getMin()) && !result.low) ||
        (isPresent(clip.getMax()) && !result.high))
      return {value, std::nullopt, std::nullopt};
    if (result.low && std::isinf(*result.low))
      result.low.reset();
    return result;
  }
  auto matchBound = [&](auto op, std::optional<double> &bound) {
    if (!op || op->getNumOperands() != 2)
      return false;
    for (unsigned i = 0; i < 2; ++i)
      if (std::optional<double> number = getNumber(op->getOperand(i))) {
        Clamped inner = matchClamp(op->getOperand(1 - i));
        result = inner;
        bound = number;
        return true;
      }
    return false;
  };
  if (matchBound(value.getDefiningOp<onnx::MinOp>(), result.high)) {
    return result;
  }
  if (matchBound(value.getDefiningOp<onnx::MaxOp>(), result.low)) {
    return result;
  }
  return result;
}

/// `value` as source + number.
std::pair<Value, double> matchOffset(Value value) {
  value = skipReshapes(value);
  if (auto add = value.getDefiningOp<onnx::AddOp>()) {
    if (std::optional<double> number = getNumber(add.getB()))
      return {skipReshapes(add.getA()), *number};
    if (std::optional<double> number = getNumber(add.getA()))
      return {skipReshapes(add.getB()), *number};
  }
  return {value, 0.0};
}

/// The argument of an activation that is one operator.
std::optional<std::pair<ActivationKind, Value>> matchNamed(Value value) {
  Operation *op = skipReshapes(value).getDefiningOp();
  if (!op)
    return std::nullopt;
  if (auto gelu = dyn_cast<onnx::GeluOp>(op))
    return std::make_pair(gelu.getApproximate() == "tanh"
                              ? ActivationKind::GeluTanh
                              : ActivationKind::Gelu,
                          skipReshapes(op->getOperand(0)));
  if (isa<onnx::ReluOp>(op))
    return std::make_pair(ActivationKind::Relu,
                          skipReshapes(op->getOperand(0)));
  return std::nullopt;
}

/// Removes the first occurrence of `value`.
bool take(SmallVectorImpl<Value> &factors, Value value) {
  auto found = llvm::find(factors, value);
  if (found == factors.end())
    return false;
  factors.erase(found);
  return true;
}

/// A sigmoid among `factors` whose argument, up to a number, is also a factor.
/// Removes both; returns the argument and the number.
std::optional<std::pair<Value, double>>
takeSilu(SmallVectorImpl<Value> &factors) {
  for (Value factor : factors) {
    if (auto swish = factor.getDefiningOp<onnx::SwishOp>()) {
      Value argument = skipReshapes(swish.getX());
      take(factors, factor);
      return std::make_pair(argument, swish.getAlpha().convertToDouble());
    }
    auto sigmoid = factor.getDefiningOp<onnx::SigmoidOp>();
    if (!sigmoid)
      continue;
    Value argument = skipReshapes(sigmoid.getX());
    double alpha = 1.0;
    Value scaled = argument;
    if (auto mul = argument.getDefiningOp<onnx::MulOp>()) {
      if (std::optional<double> number = getNumber(mul.getB())) {
        alpha = *number;
        scaled = skipReshapes(mul.getA());
      } else if (std::optional<double> number = getNumber(mul.getA())) {
        alpha = *number;
        scaled = skipReshapes(mul.getB());
      }
    }
    if (!llvm::is_contained(factors, scaled))
      continue;
    take(factors, factor);
    take(factors, scaled);
    return std::make_pair(scaled, alpha);
  }
  return std::nullopt;
}

} // namespace

std::optional<ActivationMatch> moe::matchActivation(Value hidden) {
  MLIRContext *context = hidden.getContext();
  SmallVector<Value> factors = getFactors(hidden);
  ActivationKind kind = ActivationKind::Silu;
  double alpha = 1.0;
  Value argument;
  if (auto silu = takeSilu(factors)) {
    std::tie(argument, alpha) = *silu;
  } else {
    for (Value factor : factors)
      if (auto named = matchNamed(factor)) {
        std::tie(kind, argument) = *named;
        take(factors, factor);
        break;
      }
  }
  if (!argument)
    return std::nullopt;
  // relu(u) * relu(u) is the square.
  if (kind == ActivationKind::Relu && factors.size() == 1)
    if (auto again = matchNamed(factors.front()))
      if (again->first == ActivationKind::Relu && again->second == argument) {
        kind = ActivationKind::Relu2;
        factors.clear();
      }
  if (factors.empty())
    return ActivationMatch{ActivationAttr::get(context, kind, alpha), Value(),
                           argument};
  if (factors.size() != 1)
    return std::nullopt;
  Clamped gate = matchClamp(argument);
  auto [shifted, offset] = matchOffset(factors.front());
  Clamped up = matchClamp(shifted);
  double limit = HUGE_VAL;
  if (gate.high || gate.low || up.high || up.low) {
    // The gate is bounded from above, the up projection from both sides.
    if (!gate.high || gate.low || up.high != gate.high || !up.low ||
        *up.low != -*gate.high)
      return std::nullopt;
    limit = *gate.high;
  }
  return ActivationMatch{
      ActivationAttr::get(context, kind, alpha, limit, offset), gate.source,
      up.source};
}
