//===- ExpertStacks.cpp - the projections of experts as stacks --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/ExpertStacks.h"

using namespace mlir;
using namespace mlir::moe;

/// E x out, or null.
Value StackBuilder::getBias(const LinearMatch &linear) {
  if (!linear.bias)
    return {};
  std::optional<WeightView> view = WeightView::get(linear.bias.value);
  if (!view)
    return buildMatrix(builder, loc, tracer, linear.bias,
                       {linear.matrix.expert}, linear.out);
  auto labelled = getLabelledView(tracer, *view, linear.bias.axes);
  if (!labelled)
    return {};
  std::optional<WeightView> ordered = getOrdered(
      {labelled->first, labelled->second}, {linear.matrix.expert, linear.out});
  return ordered ? ordered->build(builder, loc) : Value();
}

std::optional<ExpertLinear> StackBuilder::getStack(const LinearMatch &linear) {
  const ExpertMatrix &matrix = linear.matrix;
  std::optional<WeightView> view =
      getOrdered(matrix, {matrix.expert, linear.in, linear.out});
  Value bias = getBias(linear);
  if (!view || (linear.bias && !bias))
    return std::nullopt;
  return ExpertLinear{Value(), *view, bias};
}

std::optional<ExpertLinear>
StackBuilder::getStack(ArrayRef<const LinearMatch *> lanes) {
  SmallVector<WeightView> views, biases;
  SmallVector<Value> biasValues;
  for (const LinearMatch *linear : lanes) {
    std::optional<WeightView> view =
        getOrdered(linear->matrix, {linear->in, linear->out});
    if (!view || static_cast<bool>(linear->bias) !=
                     static_cast<bool>(lanes.front()->bias))
      return std::nullopt;
    views.push_back(*view);
    if (!linear->bias)
      continue;
    std::optional<WeightView> bias = WeightView::get(linear->bias.value);
    auto labelled =
        bias ? getLabelledView(tracer, *bias, linear->bias.axes) : std::nullopt;
    if (labelled && labelled->second.size() == 1)
      biases.push_back(labelled->first);
    Value row =
        buildMatrix(builder, loc, tracer, linear->bias, {}, linear->out);
    if (!row)
      return std::nullopt;
    biasValues.push_back(row);
  }
  std::optional<WeightView> stack = WeightView::stack(views);
  if (!stack)
    return std::nullopt;
  ExpertLinear result{Value(), *stack, Value()};
  if (biasValues.empty())
    return result;
  std::optional<WeightView> biasStack;
  if (biases.size() == lanes.size())
    biasStack = WeightView::stack(biases);
  if (biasStack) {
    result.bias = biasStack->build(builder, loc);
    return result;
  }
  RankedTensorType type = getTensorType(biasValues.front());
  result.bias = onnx::ConcatOp::create(
      builder, loc,
      RankedTensorType::get(
          {static_cast<int64_t>(lanes.size()), type.getShape().back()},
          type.getElementType()),
      biasValues, builder.getI64IntegerAttr(0));
  return result;
}

std::optional<ExpertsMatch> StackBuilder::build(const FeedForward &network) {
  std::optional<ExpertLinear> up = getStack(network.up);
  std::optional<ExpertLinear> down = getStack(network.down);
  ExpertsMatch match;
  if (network.gate)
    match.gate = getStack(*network.gate);
  if (!up || !down || (network.gate && !match.gate))
    return std::nullopt;
  match.up = *up;
  match.down = *down;
  return match;
}

std::optional<ExpertsMatch>
StackBuilder::build(ArrayRef<const FeedForward *> networks) {
  auto stack = [&](auto get) {
    return getStack(llvm::map_to_vector(
        networks, [&](const FeedForward *network) -> const LinearMatch * {
          return get(*network);
        }));
  };
  auto up = stack([](const FeedForward &f) { return &f.up; });
  auto down = stack([](const FeedForward &f) { return &f.down; });
  ExpertsMatch match;
  bool gated = networks.front()->gate.has_value();
  if (gated)
    match.gate = stack([](const FeedForward &f) { return &*f.gate; });
  if (!up || !down || (gated && !match.gate))
    return std::nullopt;
  match.up = *up;
  match.down = *down;
  return match;
}
