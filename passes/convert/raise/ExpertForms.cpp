//===- ExpertForms.cpp - what all forms of experts share --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/ExpertForms.h"

#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::moe;

static Value buildConstant(OpBuilder &builder, Location loc,
                           ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder.getI64Type());
  return onnx::ConstantOp::create(builder, loc, type,
                                  DenseIntElementsAttr::get(type, values));
}

Value moe::stackVectors(OpBuilder &builder, Location loc,
                        ArrayRef<Value> vectors) {
  RankedTensorType type = getTensorType(vectors.front());
  int64_t count = vectors.size(), extent = type.getDimSize(0);
  Value axis = buildConstant(builder, loc, 0);
  SmallVector<Value> rows;
  for (Value vector : vectors)
    rows.push_back(onnx::UnsqueezeOp::create(
        builder, loc, RankedTensorType::get({1, extent}, type.getElementType()),
        vector, axis));
  return onnx::ConcatOp::create(
      builder, loc,
      RankedTensorType::get({count, extent}, type.getElementType()), rows,
      builder.getI64IntegerAttr(0));
}

Value moe::asMatrix(OpBuilder &builder, Location loc, Value value) {
  RankedTensorType type = getTensorType(value);
  if (type.getRank() == 2)
    return value;
  int64_t width = type.getRank() == 0 ? 1 : type.getShape().back();
  int64_t rows = type.hasStaticShape() && width > 0
                     ? type.getNumElements() / width
                     : ShapedType::kDynamic;
  return onnx::ReshapeOp::create(
      builder, loc, RankedTensorType::get({rows, width}, type.getElementType()),
      value, buildConstant(builder, loc, {-1, width}));
}

std::optional<ExpertLinear> moe::cutOutputs(OpBuilder &builder,
                                            const ExpertLinear &linear,
                                            const LastDimSlice &slice) {
  int64_t outputs = linear.weights.shape[2];
  if (slice.start == 0 && slice.count == outputs && slice.step == 1)
    return linear;
  std::optional<WeightView> weights =
      linear.weights.slice(2, slice.start, slice.count, slice.step);
  if (!weights)
    return std::nullopt;
  ExpertLinear result{linear.x, *weights, Value()};
  if (!linear.bias)
    return result;
  Location loc = linear.bias.getLoc();
  if (std::optional<WeightView> bias = WeightView::get(linear.bias)) {
    std::optional<WeightView> part =
        bias->slice(1, slice.start, slice.count, slice.step);
    if (!part)
      return std::nullopt;
    result.bias = part->build(builder, loc);
    return result;
  }
  RankedTensorType type = getTensorType(linear.bias);
  int64_t end = slice.start + (slice.count - 1) * slice.step + 1;
  result.bias = onnx::SliceOp::create(
      builder, loc,
      RankedTensorType::get({type.getDimSize(0), slice.count},
                            type.getElementType()),
      linear.bias, buildConstant(builder, loc, slice.start),
      buildConstant(builder, loc, end), buildConstant(builder, loc, 1),
      buildConstant(builder, loc, slice.step));
  return result;
}

Value moe::restoreShape(OpBuilder &builder, Location loc, Value matrix,
                        Value old, Value like) {
  RankedTensorType type = getTensorType(old);
  if (type.getRank() == 2)
    return matrix;
  SmallVector<int64_t> shape(type.getShape());
  if (llvm::count_if(shape, ShapedType::isDynamic) <= 1) {
    for (int64_t &extent : shape)
      extent = ShapedType::isDynamic(extent) ? -1 : extent;
    return onnx::ReshapeOp::create(builder, loc, type, matrix,
                                   buildConstant(builder, loc, shape));
  }
  int64_t rank = type.getRank();
  auto i64 = builder.getI64Type();
  Value leading = onnx::ShapeOp::create(
      builder, loc, RankedTensorType::get({rank - 1}, i64), like,
      builder.getI64IntegerAttr(rank - 1), builder.getI64IntegerAttr(0));
  Value width = buildConstant(builder, loc, shape.back());
  Value whole = onnx::ConcatOp::create(
      builder, loc, RankedTensorType::get({rank}, i64),
      ValueRange{leading, width}, builder.getI64IntegerAttr(0));
  return onnx::ReshapeOp::create(builder, loc, type, matrix, whole);
}

Value moe::buildCast(OpBuilder &builder, Location loc, Value value,
                     Type element) {
  // The standard's number of the type.
  int64_t to = element.isF16() ? 10 : element.isBF16() ? 16 : 1;
  return onnx::CastOp::create(
      builder, loc,
      RankedTensorType::get(getTensorType(value).getShape(), element), value,
      builder.getStringAttr("up"), builder.getI64IntegerAttr(1),
      builder.getI64IntegerAttr(to));
}

/// Experts of a single product: groups of rows, combined.
static Value buildLinearExperts(OpBuilder &builder, Location loc, Value x,
                                Value assigned, Type score,
                                const ExpertLinear &linear, Type element) {
  auto routing = cast<RoutingType>(assigned.getType());
  int64_t tokens = routing.getTokens(), slots = routing.getSlots();
  int64_t width = linear.weights.shape[2];
  int64_t count =
      ShapedType::isDynamic(tokens) ? ShapedType::kDynamic : tokens * slots;
  Type i32 = builder.getI32Type();
  auto unpacked = UnpackOp::create(
      builder, loc, RankedTensorType::get({tokens, slots}, i32),
      RankedTensorType::get({tokens, slots}, score), assigned);
  auto permute =
      PermuteOp::create(builder, loc, RankedTensorType::get({count}, i32),
                        RankedTensorType::get({routing.getExperts() + 1}, i32),
                        unpacked.getIds(), routing.getExperts());
  Value products = GroupedMatmulOp::create(
      builder, loc, RankedTensorType::get({count, width}, element), x,
      linear.weights.build(builder, loc), permute.getOffsets(),
      permute.getRows(), linear.bias, builder.getI64IntegerAttr(slots));
  return CombineOp::create(builder, loc,
                           RankedTensorType::get({tokens, width}, element),
                           products, permute.getRows(), unpacked.getWeights());
}

FailureOr<Value> moe::createExperts(OpBuilder &builder, Location loc,
                                    const ExpertsMatch &match, Type element) {
  Value x = asMatrix(builder, loc, match.x);
  Value ids = asMatrix(builder, loc, match.ids);
  Value weights = asMatrix(builder, loc, match.weights);
  RankedTensorType idsType = getTensorType(ids);
  int64_t slots = idsType.getDimSize(1);
  int64_t experts = match.up.weights.shape[0];
  if (ShapedType::isDynamic(slots) || slots < 1 || slots > experts)
    return failure();
  auto routing = RoutingType::get(builder.getContext(), idsType.getDimSize(0),
                                  slots, experts);
  Value assigned =
      AssignOp::create(builder, loc, routing, ids, weights, match.drops);
  auto buildWeights = [&](const ExpertLinear &linear) {
    return linear.weights.build(builder, loc);
  };
  if (match.isLinear)
    return buildLinearExperts(builder, loc, x, assigned,
                              getTensorType(weights).getElementType(),
                              match.down, element);
  Value gate = match.gate ? buildWeights(*match.gate) : Value();
  auto outType = RankedTensorType::get(
      {getTensorType(x).getDimSize(0), match.down.weights.shape[2]}, element);
  auto op = ExpertsOp::create(
      builder, loc, outType, x, assigned, gate, buildWeights(match.up),
      buildWeights(match.down), match.gate ? match.gate->bias : Value(),
      match.up.bias, match.down.bias, match.activation,
      ApplyWeightAttr::get(builder.getContext(), match.apply));
  return op.getResult();
}

LogicalResult moe::buildExperts(Value result, const ExpertsMatch &match) {
  RankedTensorType type = getTensorType(result);
  // With several dynamic leading dimensions their extents come from x.
  if (type.getRank() != 2 &&
      llvm::count_if(type.getShape(), ShapedType::isDynamic) > 1 &&
      getTensorType(match.x).getRank() != type.getRank())
    return failure();
  OpBuilder builder(result.getContext());
  builder.setInsertionPointAfterValue(result);
  Location loc = result.getLoc();
  FailureOr<Value> experts =
      createExperts(builder, loc, match, type.getElementType());
  if (failed(experts))
    return failure();
  result.replaceAllUsesWith(
      restoreShape(builder, loc, *experts, result, match.x));
  return success();
}
