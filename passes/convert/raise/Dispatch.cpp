//===- Dispatch.cpp - tokens in places of experts ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/Dispatch.h"

#include "passes/convert/raise/Products.h"

using namespace mlir;
using namespace mlir::moe;

/// Whether `value` is computed from a running count, by arithmetic alone.
static bool isRunningCount(Value value, unsigned depth = 0) {
  Operation *op = skipCasts(value).getDefiningOp();
  if (!op || depth > 8)
    return false;
  if (isa<onnx::CumSumOp>(op))
    return true;
  if (!isa<onnx::MulOp, onnx::AddOp, onnx::SubOp, onnx::ReduceSumOp,
           onnx::ReduceMaxOp, onnx::ClipOp, onnx::GatherElementsOp,
           onnx::EqualOp, onnx::OneHotOp, onnx::TransposeOp, onnx::ExpandOp>(
          op))
    return false;
  return llvm::any_of(op->getOperands(), [&](Value operand) {
    return isPresent(operand) && isRunningCount(operand, depth + 1);
  });
}

namespace {

class DispatchMatcher {
public:
  DispatchMatcher(Tracer &tracer, int expert)
      : tracer(tracer), expert(expert) {}

  /// Whether `combine` is zero wherever `dispatch` is, and `dispatch` is 0 or 1
  /// with a place for one token.
  bool fits(const IndexedValue &dispatch, const IndexedValue &combine) {
    IndexedValue mask = tracer.trace(dispatch);
    IndexedValue weights = tracer.trace(combine);
    if (auto greater = mask.value.getDefiningOp<onnx::GreaterOp>()) {
      std::optional<IndexedValue> positive =
          tracer.getOperand(greater.getA(), mask);
      return getNumber(greater.getB()) == 0.0 && positive &&
             tracer.trace(*positive) == weights && hasPlaces(weights);
    }
    return (mask == weights || hasFactor(weights, mask)) && hasPlaces(mask) &&
           isEncoding(mask);
  }

private:
  bool hasFactor(const IndexedValue &product, const IndexedValue &factor) {
    std::optional<Product> parts = getProduct(tracer, product);
    return parts && parts->summed.empty() &&
           llvm::any_of(parts->factors, [&](const IndexedValue &part) {
             IndexedValue traced = tracer.trace(part);
             return traced == factor || hasFactor(traced, factor);
           });
  }

  /// Whether `mask` is a product of encodings and comparisons: 0 or 1.
  bool isEncoding(const IndexedValue &mask) {
    if (mask.value.getDefiningOp<onnx::MulOp>()) {
      std::optional<Product> parts = getProduct(tracer, mask);
      return parts &&
             llvm::all_of(parts->factors, [&](const IndexedValue &part) {
               return isEncoding(tracer.trace(part));
             });
    }
    Operation *op = mask.value.getDefiningOp();
    return isa_and_nonnull<onnx::OneHotOp, onnx::EqualOp, onnx::LessOp,
                           onnx::LessOrEqualOp>(op);
  }

  /// Whether the places are given out by a running count.
  bool hasPlaces(const IndexedValue &value) {
    Operation *op = value.value.getDefiningOp();
    if (isa_and_nonnull<onnx::AddOp>(op)) {
      std::optional<IndexedValue> a =
          tracer.getOperand(op->getOperand(0), value);
      std::optional<IndexedValue> b =
          tracer.getOperand(op->getOperand(1), value);
      return a && b && hasPlaces(tracer.trace(*a)) &&
             hasPlaces(tracer.trace(*b));
    }
    std::optional<Product> parts = getProduct(tracer, value);
    if (!parts)
      return !value.dependsOn(expert) && isRunningCount(value.value);
    return llvm::any_of(parts->factors, [&](const IndexedValue &part) {
      return hasPlaces(tracer.trace(part));
    });
  }

  Tracer &tracer;
  int expert;
};

} // namespace

bool moe::matchDispatch(Tracer &tracer, FeedForward &network,
                        ArrayRef<IndexedValue> gates, ArrayRef<int> tokens,
                        int expert) {
  if (!network.x.dependsOn(expert) || !network.inputGates.empty() ||
      gates.size() != 1)
    return false;
  std::optional<Product> product = getContraction(tracer, network.x);
  if (!product || product->factors.size() != 2 || product->summed.size() != 1)
    return false;
  unsigned i = product->factors[0].dependsOn(expert) ? 0 : 1;
  IndexedValue dispatch = product->factors[i];
  IndexedValue x = tracer.trace(product->factors[1 - i]);
  if (!x.dependsOn(network.up.in) || x.dependsOn(expert) ||
      dispatch.dependsOn(network.up.in))
    return false;
  // The token that is summed over is the one that the result is for.
  int token = Digit::kNone;
  for (int label : tokens)
    if (!x.dependsOn(label))
      token = token == Digit::kNone ? label : Digit::kNone;
  if (token == Digit::kNone)
    return false;
  Digit digit{token, 0, 1, tracer.getExtent(token)};
  x.replace(product->summed[0], digit);
  dispatch.replace(product->summed[0], digit);
  if (!DispatchMatcher(tracer, expert).fits(dispatch, gates[0]))
    return false;
  network.x = x;
  return true;
}
