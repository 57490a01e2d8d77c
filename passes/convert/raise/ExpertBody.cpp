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
  IndexedValue source;
  std::optional<double> low, high;
};

bool isClose(double a, double b) {
  return std::abs(a - b) <= 4e-3 * std::abs(b);
}

/// Whether `a` is `b` up to the precision of half types.
class BodyMatcher {
public:
  BodyMatcher(Tracer &tracer) : tracer(tracer) {}

  IndexedValue getOperand(const IndexedValue &value, unsigned i) {
    std::optional<IndexedValue> operand =
        tracer.getOperand(value.value.getDefiningOp()->getOperand(i), value);
    return operand ? tracer.trace(*operand) : IndexedValue();
  }

  /// `value` as a number and another operand of the operator `Op`.
  template <typename Op>
  std::optional<std::pair<IndexedValue, double>>
  matchNumber(const IndexedValue &value) {
    auto op = value.value.getDefiningOp<Op>();
    if (!op || op->getNumOperands() != 2)
      return std::nullopt;
    for (unsigned i = 0; i < 2; ++i)
      if (std::optional<double> number = getNumber(op->getOperand(i)))
        if (IndexedValue rest = getOperand(value, 1 - i))
          return std::make_pair(rest, *number);
    return std::nullopt;
  }

  /// The leaves of a tree of multiplications; numbers are multiplied up.
  SmallVector<IndexedValue> getFactors(const IndexedValue &value,
                                       double &number) {
    SmallVector<IndexedValue> factors, work = {tracer.trace(value)};
    while (!work.empty()) {
      IndexedValue next = work.pop_back_val();
      Operation *op = next.value.getDefiningOp();
      if (std::optional<double> constant = getNumber(next.value)) {
        number *= *constant;
        continue;
      }
      IndexedValue a, b;
      if (isa_and_nonnull<onnx::MulOp>(op)) {
        a = getOperand(next, 0);
        b = getOperand(next, 1);
      } else if (auto divided = matchQuotient(next)) {
        number /= divided->second;
        work.push_back(divided->first);
        continue;
      } else if (isa_and_nonnull<onnx::PowOp>(op) &&
                 getNumber(op->getOperand(1)) == 2.0) {
        a = b = getOperand(next, 0);
      }
      if (a && b) {
        work.push_back(b);
        work.push_back(a);
      } else {
        factors.push_back(next);
      }
    }
    return factors;
  }

  std::optional<std::pair<IndexedValue, double>>
  matchQuotient(const IndexedValue &value) {
    auto div = value.value.getDefiningOp<onnx::DivOp>();
    std::optional<double> number = div ? getNumber(div.getB()) : std::nullopt;
    if (!number || *number == 0)
      return std::nullopt;
    IndexedValue rest = getOperand(value, 0);
    return rest ? std::make_optional(std::make_pair(rest, *number))
                : std::nullopt;
  }

  Clamped matchClamp(const IndexedValue &value) {
    Clamped result{tracer.trace(value), std::nullopt, std::nullopt};
    const IndexedValue &source = result.source;
    if (auto clip = source.value.getDefiningOp<onnx::ClipOp>()) {
      std::optional<double> low, high;
      if (isPresent(clip.getMin()))
        low = getNumber(clip.getMin());
      if (isPresent(clip.getMax()))
        high = getNumber(clip.getMax());
      // A bound that is no constant is no clamp that we know.
      if ((isPresent(clip.getMin()) && !low) ||
          (isPresent(clip.getMax()) && !high))
        return result;
      Clamped inner = matchClamp(getOperand(source, 0));
      if ((low && inner.low) || (high && inner.high))
        return result;
      if (low && !(std::isinf(*low) && *low < 0))
        inner.low = low;
      if (high && !(std::isinf(*high) && *high > 0))
        inner.high = high;
      return inner;
    }
    if (auto least = matchNumber<onnx::MinOp>(source)) {
      Clamped inner = matchClamp(least->first);
      if (inner.high)
        return result;
      inner.high = least->second;
      return inner;
    }
    if (auto greatest = matchNumber<onnx::MaxOp>(source)) {
      Clamped inner = matchClamp(greatest->first);
      if (inner.low)
        return result;
      inner.low = greatest->second;
      return inner;
    }
    return result;
  }

  /// The argument of an activation among `factors`, which loses its factors;
  /// `number` is the product of constant factors.
  std::optional<IndexedValue> takeActivation(SmallVector<IndexedValue> &factors,
                                             ActivationKind &kind,
                                             double &alpha, double &number);

private:
  bool take(SmallVectorImpl<IndexedValue> &factors, const IndexedValue &value) {
    auto found = llvm::find(factors, value);
    if (found == factors.end())
      return false;
    factors.erase(found);
    return true;
  }

  /// `value` as the product of numbers and one other value.
  std::optional<std::pair<IndexedValue, double>>
  matchScaled(const IndexedValue &value) {
    double number = 1;
    SmallVector<IndexedValue> factors = getFactors(value, number);
    if (factors.size() != 1)
      return std::nullopt;
    return std::make_pair(factors[0], number);
  }

  std::optional<IndexedValue> takeSilu(SmallVector<IndexedValue> &factors,
                                       double &alpha);
  std::optional<IndexedValue> takeGelu(SmallVector<IndexedValue> &factors,
                                       ActivationKind &kind, double &number);
  std::optional<IndexedValue> takeNamed(SmallVector<IndexedValue> &factors,
                                        ActivationKind &kind, double &alpha);
  bool isTanhArgument(const IndexedValue &value, const IndexedValue &x);

  Tracer &tracer;
};

/// x * sigmoid(alpha * x), with the sigmoid as an operator or spelled out.
std::optional<IndexedValue>
BodyMatcher::takeSilu(SmallVector<IndexedValue> &factors, double &alpha) {
  for (const IndexedValue &factor : factors) {
    if (factor.value.getDefiningOp<onnx::SigmoidOp>()) {
      IndexedValue argument = getOperand(factor, 0);
      IndexedValue x = argument;
      alpha = 1;
      if (!llvm::is_contained(factors, x))
        if (auto scaled = matchScaled(argument))
          std::tie(x, alpha) = *scaled;
      IndexedValue sigmoid = factor;
      if (!llvm::is_contained(factors, x))
        continue;
      take(factors, sigmoid);
      take(factors, x);
      return x;
    }
    // x / (1 + exp(-x))
    if (!factor.value.getDefiningOp<onnx::DivOp>())
      continue;
    IndexedValue x = getOperand(factor, 0), divisor = getOperand(factor, 1);
    if (!x || !divisor)
      continue;
    auto sum = matchNumber<onnx::AddOp>(divisor);
    if (!sum || sum->second != 1.0 ||
        !sum->first.value.getDefiningOp<onnx::ExpOp>())
      continue;
    IndexedValue power = getOperand(sum->first, 0);
    IndexedValue negated;
    if (power.value.getDefiningOp<onnx::NegOp>())
      negated = getOperand(power, 0);
    else if (auto scaled = matchScaled(power); scaled && scaled->second == -1)
      negated = scaled->first;
    if (!(negated == x))
      continue;
    alpha = 1;
    take(factors, factor);
    return x;
  }
  return std::nullopt;
}

/// sqrt(2 / pi) * (x + 0.044715 * x * x * x), in any order.
bool BodyMatcher::isTanhArgument(const IndexedValue &value,
                                 const IndexedValue &x) {
  const double root = 0.7978845608028654, third = 0.044715;
  double number = 1;
  SmallVector<IndexedValue> factors = getFactors(value, number);
  // Either root * x * (1 + third * x * x) or root * (x + third * x^3).
  bool outside = llvm::is_contained(factors, x);
  if (outside)
    take(factors, x);
  if (factors.size() != 1 || !isClose(number, root) ||
      !factors[0].value.getDefiningOp<onnx::AddOp>())
    return false;
  for (unsigned i = 0; i < 2; ++i) {
    Value plain = factors[0].value.getDefiningOp()->getOperand(i);
    IndexedValue first = getOperand(factors[0], i);
    bool fits = outside ? getNumber(plain) == 1.0 : first == x;
    if (!fits)
      continue;
    double scale = 1;
    SmallVector<IndexedValue> powers =
        getFactors(getOperand(factors[0], 1 - i), scale);
    unsigned wanted = outside ? 2 : 3, count = 0;
    for (const IndexedValue &power : powers) {
      auto pow = power.value.getDefiningOp<onnx::PowOp>();
      std::optional<double> exponent =
          pow ? getNumber(pow.getY()) : std::nullopt;
      if (power == x)
        ++count;
      else if (exponent && getOperand(power, 0) == x)
        count += static_cast<unsigned>(*exponent);
      else
        return false;
    }
    return count == wanted && isClose(scale, third);
  }
  return false;
}

/// 0.5 * x * (1 + erf(x / sqrt(2))), or its approximation by tanh.
std::optional<IndexedValue>
BodyMatcher::takeGelu(SmallVector<IndexedValue> &factors, ActivationKind &kind,
                      double &number) {
  for (const IndexedValue &factor : factors) {
    auto sum = matchNumber<onnx::AddOp>(factor);
    if (!sum || sum->second != 1.0 || !isClose(number, 0.5))
      continue;
    IndexedValue inner = sum->first, x;
    if (inner.value.getDefiningOp<onnx::ErfOp>()) {
      auto scaled = matchScaled(getOperand(inner, 0));
      if (!scaled || !isClose(scaled->second, 0.7071067811865476))
        continue;
      x = scaled->first;
      kind = ActivationKind::Gelu;
    } else if (inner.value.getDefiningOp<onnx::TanhOp>()) {
      IndexedValue argument = getOperand(inner, 0);
      for (const IndexedValue &other : factors)
        if (!(other == factor) && isTanhArgument(argument, other))
          x = other;
      kind = ActivationKind::GeluTanh;
    }
    IndexedValue found = factor;
    if (!x || !llvm::is_contained(factors, x))
      continue;
    take(factors, found);
    take(factors, x);
    number = 1;
    return x;
  }
  return std::nullopt;
}

std::optional<IndexedValue>
BodyMatcher::takeNamed(SmallVector<IndexedValue> &factors, ActivationKind &kind,
                       double &alpha) {
  for (const IndexedValue &factor : factors) {
    Operation *op = factor.value.getDefiningOp();
    IndexedValue argument;
    if (auto gelu = dyn_cast_or_null<onnx::GeluOp>(op)) {
      kind = gelu.getApproximate() == "tanh" ? ActivationKind::GeluTanh
                                             : ActivationKind::Gelu;
      argument = getOperand(factor, 0);
    } else if (auto swish = dyn_cast_or_null<onnx::SwishOp>(op)) {
      kind = ActivationKind::Silu;
      alpha = swish.getAlpha().convertToDouble();
      argument = getOperand(factor, 0);
    } else if (isa_and_nonnull<onnx::ReluOp>(op)) {
      kind = ActivationKind::Relu;
      argument = getOperand(factor, 0);
    } else if (auto max = matchNumber<onnx::MaxOp>(factor);
               max && max->second == 0.0) {
      kind = ActivationKind::Relu;
      argument = max->first;
    } else if (auto clip = dyn_cast_or_null<onnx::ClipOp>(op);
               clip && isPresent(clip.getMin()) &&
               getNumber(clip.getMin()) == 0.0 && !isPresent(clip.getMax())) {
      kind = ActivationKind::Relu;
      argument = getOperand(factor, 0);
    }
    if (isa_and_nonnull<onnx::TanhOp, onnx::SigmoidOp, onnx::LeakyReluOp,
                        onnx::EluOp>(op)) {
      kind = isa<onnx::TanhOp>(op)      ? ActivationKind::Tanh
             : isa<onnx::SigmoidOp>(op) ? ActivationKind::Sigmoid
             : isa<onnx::EluOp>(op)     ? ActivationKind::Elu
                                        : ActivationKind::LeakyRelu;
      if (auto elu = dyn_cast<onnx::EluOp>(op))
        alpha = elu.getAlpha().convertToDouble();
      if (auto leaky = dyn_cast<onnx::LeakyReluOp>(op))
        alpha = leaky.getAlpha().convertToDouble();
      argument = getOperand(factor, 0);
    }
    if (!argument)
      continue;
    IndexedValue found = factor;
    take(factors, found);
    // relu(u) * relu(u) is the square.
    if (kind == ActivationKind::Relu && take(factors, found))
      kind = ActivationKind::Relu2;
    return argument;
  }
  return std::nullopt;
}

std::optional<IndexedValue>
BodyMatcher::takeActivation(SmallVector<IndexedValue> &factors,
                            ActivationKind &kind, double &alpha,
                            double &number) {
  kind = ActivationKind::Silu;
  alpha = 1;
  if (std::optional<IndexedValue> x = takeSilu(factors, alpha))
    return x;
  if (std::optional<IndexedValue> x = takeGelu(factors, kind, number))
    return x;
  alpha = 1;
  return takeNamed(factors, kind, alpha);
}

} // namespace

std::optional<ActivationMatch>
moe::matchActivation(Tracer &tracer, const IndexedValue &hidden, int inner) {
  MLIRContext *context = hidden.value.getContext();
  BodyMatcher matcher(tracer);
  double number = 1, alpha = 1;
  SmallVector<IndexedValue> factors = matcher.getFactors(hidden, number);
  ActivationMatch match;
  llvm::erase_if(factors, [&](const IndexedValue &factor) {
    if (factor.dependsOn(inner))
      return false;
    match.gates.push_back(factor);
    return true;
  });
  ActivationKind kind = ActivationKind::Identity;
  std::optional<IndexedValue> argument =
      matcher.takeActivation(factors, kind, alpha, number);
  if (!argument) {
    // A product of two projections, or one projection as it is.
    if (factors.empty() || factors.size() > 2 || number != 1)
      return std::nullopt;
    kind = ActivationKind::Identity;
    argument = factors.front();
    factors.erase(factors.begin());
  }
  if (number != 1)
    return std::nullopt;
  if (factors.empty()) {
    match.activation = ActivationAttr::get(context, kind, alpha);
    match.up = *argument;
    return match;
  }
  if (factors.size() != 1)
    return std::nullopt;
  Clamped gate = matcher.matchClamp(*argument);
  auto shifted = matcher.matchNumber<onnx::AddOp>(factors.front());
  double offset = shifted ? shifted->second : 0;
  Clamped up = matcher.matchClamp(shifted ? shifted->first : factors.front());
  double limit = HUGE_VAL;
  if (gate.high || gate.low || up.high || up.low) {
    // The gate is bounded from above, the up projection from both sides.
    if (!gate.high || gate.low || up.high != gate.high || !up.low ||
        *up.low != -*gate.high)
      return std::nullopt;
    limit = *gate.high;
  }
  match.activation = ActivationAttr::get(context, kind, alpha, limit, offset);
  match.gate = gate.source;
  match.up = up.source;
  return match;
}

std::optional<FeedForward>
moe::matchLinearExpert(Tracer &tracer, const IndexedValue &indexed, int out) {
  std::optional<LinearMatch> linear = matchLinear(tracer, indexed, out);
  if (!linear)
    return std::nullopt;
  FeedForward result;
  result.isLinear = true;
  result.x = linear->x;
  result.activation =
      ActivationAttr::get(indexed.value.getContext(), ActivationKind::Identity);
  result.outputGates = linear->gates;
  result.up = result.down = *linear;
  return result;
}

/// Whether two rows are the same but for the label of their width.
static bool haveSameRows(const Tracer &tracer, IndexedValue a, int aWidth,
                         const IndexedValue &b, int bWidth) {
  a.replace(aWidth, Digit{bWidth, 0, 1, tracer.getExtent(bWidth)});
  return a == b;
}

std::optional<FeedForward> moe::matchFeedForward(Tracer &tracer,
                                                 const IndexedValue &indexed,
                                                 int out, std::string &reason) {
  std::optional<LinearMatch> down = matchLinear(tracer, indexed, out);
  if (!down)
    return std::nullopt;
  FeedForward result;
  result.down = *down;
  std::optional<ActivationMatch> body =
      matchActivation(tracer, down->x, down->in);
  if (!body) {
    reason = "the activation between the two products is not known";
    return std::nullopt;
  }
  result.activation = body->activation;
  std::optional<LinearMatch> up = matchLinear(tracer, body->up, down->in);
  if (!up || !up->gates.empty() || !up->summed.empty()) {
    // What is no projection itself may be an activation.
    reason =
        !body->gate && body->activation.getKind() == ActivationKind::Identity
            ? "the activation between the two products is not known"
            : "the first projection is no product with a weight";
    return std::nullopt;
  }
  result.up = *up;
  if (body->gate) {
    std::optional<LinearMatch> gate = matchLinear(tracer, body->gate, down->in);
    if (!gate || !gate->gates.empty() || !gate->summed.empty()) {
      reason = "the gate is no product with a weight";
      return std::nullopt;
    }
    if (!haveSameRows(tracer, gate->x, gate->in, up->x, up->in)) {
      reason = "gate and up projection do not see the same rows";
      return std::nullopt;
    }
    result.gate = std::move(gate);
  }
  // Scores that multiply the hidden rows could as well multiply the output.
  result.outputGates = down->gates;
  if (!body->gates.empty() && down->bias) {
    reason = "weights before a projection with a bias";
    return std::nullopt;
  }
  result.outputGates.append(body->gates);
  // Factors of the rows that do not depend on the width weight the input.
  double number = 1;
  BodyMatcher matcher(tracer);
  for (const IndexedValue &factor : matcher.getFactors(up->x, number)) {
    if (!factor.dependsOn(up->in)) {
      result.inputGates.push_back(factor);
    } else if (!result.x) {
      result.x = factor;
    } else {
      result.x = up->x;
      result.inputGates.clear();
      return result;
    }
  }
  if (number != 1 || !result.x || result.inputGates.empty()) {
    result.x = up->x;
    result.inputGates.clear();
  }
  return result;
}
