//===- ChoiceBuilder.cpp - ids and weights of a choice ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/ExpertForms.h"
#include "passes/convert/raise/Gates.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

class ChoiceBuilder {
public:
  ChoiceBuilder(OpBuilder &builder, Location loc, Tracer &tracer,
                RowBuilder &rows, int slot, int expert, Type element)
      : builder(builder), loc(loc), tracer(tracer), rows(rows), slot(slot),
        expert(expert), element(element) {}

  Value buildIds(const IndexedValue &ids) { return rows.build(ids, slot); }

  /// One factor, tokens x slots or something that broadcasts to it.
  Value buildFactor(const GateFactor &factor, Value ids) {
    const IndexedValue &indexed = factor.value;
    Value value;
    if (factor.kind == GateFactor::SumOverLabel)
      return buildSum(factor);
    if (indexed.getLabels().empty()) {
      value = indexed.value;
    } else if (expert != Digit::kNone && indexed.dependsOn(expert)) {
      bool isVector = indexed.axes.size() == 1;
      Value whole = isVector ? Value() : rows.build(indexed, expert);
      if (isVector)
        value = onnx::GatherOp::create(
            builder, loc, getType(ids, indexed.value), indexed.value, ids,
            builder.getI64IntegerAttr(0));
      else if (whole)
        value = onnx::GatherElementsOp::create(builder, loc,
                                               getType(ids, whole), whole, ids,
                                               builder.getI64IntegerAttr(1));
    } else {
      int column = indexed.dependsOn(slot) ? slot : Digit::kNone;
      value = rows.build(indexed, column);
    }
    if (!value)
      return {};
    RankedTensorType type = getTensorType(value);
    if (type.getElementType() != element)
      value = buildCast(builder, loc, value, element);
    return value;
  }

  /// The sum of a factor over a label of its own, tokens x 1.
  Value buildSum(const GateFactor &factor) {
    Value whole = rows.build(factor.value, factor.label);
    if (!whole)
      return {};
    if (getTensorType(whole).getElementType() != element)
      whole = buildCast(builder, loc, whole, element);
    return sumRows(whole);
  }

  /// Applies the function of `factor` to its value.
  Value apply(const GateFactor &factor, Value value) {
    if (factor.kind == GateFactor::SoftmaxOfChosen)
      return onnx::SoftmaxOp::create(builder, loc, value.getType(), value,
                                     builder.getI64IntegerAttr(-1));
    if (factor.kind == GateFactor::SigmoidOfChosen)
      return onnx::SigmoidOp::create(builder, loc, value.getType(), value);
    return value;
  }

  /// The product of `factors`, of the shape of `ids`; null if there is none.
  std::optional<Value> buildProduct(ArrayRef<GateFactor> factors, Value ids,
                                    Value start = {}) {
    Value product = start;
    for (const GateFactor &factor : factors) {
      Value value = buildFactor(factor, ids);
      if (!value)
        return std::nullopt;
      value = apply(factor, value);
      if (factor.kind == GateFactor::Inverse) {
        if (!product)
          product = buildNumber(1);
        product = onnx::DivOp::create(builder, loc, join(product, value),
                                      product, value);
      } else {
        product = product
                      ? onnx::MulOp::create(builder, loc, join(product, value),
                                            product, value)
                            .getResult()
                      : value;
      }
    }
    return product;
  }

  Value buildNumber(double number) {
    auto type = RankedTensorType::get({}, element);
    return onnx::ConstantOp::create(
        builder, loc, type,
        DenseElementsAttr::get(type, builder.getFloatAttr(element, number)));
  }

  Value sumRows(Value matrix) {
    auto axisType = RankedTensorType::get({1}, builder.getI64Type());
    Value axis = onnx::ConstantOp::create(
        builder, loc, axisType,
        DenseElementsAttr::get(axisType, builder.getI64IntegerAttr(-1)));
    Type rows = RankedTensorType::get({getTensorType(matrix).getDimSize(0), 1},
                                      element);
    return onnx::ReduceSumOp::create(builder, loc, rows, matrix, axis,
                                     builder.getI64IntegerAttr(1),
                                     builder.getI64IntegerAttr(0));
  }

  Value normalize(const Choice &choice, Value weights) {
    RankedTensorType type = getTensorType(weights);
    Value sum = sumRows(weights);
    Type rows = sum.getType();
    if (choice.clamped)
      sum = onnx::MaxOp::create(builder, loc, rows,
                                ValueRange{sum, buildNumber(choice.epsilon)});
    else if (choice.epsilon != 0)
      sum = onnx::AddOp::create(builder, loc, rows, sum,
                                buildNumber(choice.epsilon));
    return onnx::DivOp::create(builder, loc, type, weights, sum);
  }

  /// `value` with the shape of `ids`.
  Value spread(Value value, Value ids) {
    RankedTensorType type = getType(ids, value);
    if (value && getTensorType(value).getShape() == type.getShape())
      return value;
    auto shapeType = RankedTensorType::get({2}, builder.getI64Type());
    Value shape =
        onnx::ShapeOp::create(builder, loc, shapeType, ids, IntegerAttr(),
                              builder.getI64IntegerAttr(0));
    return onnx::ExpandOp::create(builder, loc, type,
                                  value ? value : buildNumber(1), shape);
  }

private:
  RankedTensorType getType(Value ids, Value value) {
    return RankedTensorType::get(getTensorType(ids).getShape(),
                                 value ? getTensorType(value).getElementType()
                                       : element);
  }

  /// The type of an element-wise operation on two operands.
  Type join(Value a, Value b) {
    ArrayRef<int64_t> first = getTensorType(a).getShape();
    ArrayRef<int64_t> second = getTensorType(b).getShape();
    if (first.size() < second.size())
      std::swap(first, second);
    SmallVector<int64_t> shape(first);
    for (size_t i = 0; i < second.size(); ++i) {
      int64_t &extent = shape[first.size() - second.size() + i];
      if (extent == 1)
        extent = second[i];
    }
    return RankedTensorType::get(shape, element);
  }

  OpBuilder &builder;
  Location loc;
  Tracer &tracer;
  RowBuilder &rows;
  int slot, expert;
  Type element;
};

} // namespace

ChoiceValues moe::buildMixture(OpBuilder &builder, Location loc,
                               Value weights) {
  RankedTensorType type = getTensorType(weights);
  int64_t experts = type.getDimSize(1);
  auto i64 = builder.getI64Type();
  auto rowType = RankedTensorType::get({1, experts}, i64);
  Value row = onnx::ConstantOp::create(
      builder, loc, rowType,
      DenseIntElementsAttr::get(
          rowType, llvm::to_vector(llvm::seq<int64_t>(0, experts))));
  Value shape = onnx::ShapeOp::create(
      builder, loc, RankedTensorType::get({2}, i64), weights, IntegerAttr(),
      builder.getI64IntegerAttr(0));
  Value ids = onnx::ExpandOp::create(
      builder, loc, RankedTensorType::get(type.getShape(), i64), row, shape);
  return {ids, weights};
}

/// A mixture without a choice.
static std::optional<ChoiceValues>
buildDense(OpBuilder &builder, Location loc, Tracer &tracer,
           const Choice &choice, RowBuilder &rows, int expert, Type element) {
  ChoiceBuilder values(builder, loc, tracer, rows, expert, Digit::kNone,
                       element);
  int64_t experts = tracer.getExtent(expert);
  std::optional<Value> weights = values.buildProduct(choice.factors, {});
  if (!weights || !*weights || getTensorType(*weights).getRank() != 2 ||
      getTensorType(*weights).getDimSize(1) != experts)
    return std::nullopt;
  return buildMixture(builder, loc, *weights);
}

std::optional<ChoiceValues>
moe::buildChoice(OpBuilder &builder, Location loc, Tracer &tracer,
                 const Choice &choice, RowBuilder &rows, int expert,
                 Type element, std::string &reason) {
  if (!choice.ids) {
    auto result =
        buildDense(builder, loc, tracer, choice, rows, expert, element);
    if (!result)
      reason = "the mixing weights are no matrix of tokens and experts";
    return result;
  }
  ChoiceBuilder values(builder, loc, tracer, rows, choice.slot, expert,
                       element);
  Value ids = values.buildIds(choice.ids);
  if (!ids) {
    reason = "the ids are no matrix of tokens and slots";
    return std::nullopt;
  }
  std::optional<Value> weights = values.buildProduct(choice.factors, ids);
  if (weights && choice.normalized)
    weights = values.normalize(choice, values.spread(*weights, ids));
  if (weights)
    weights = values.buildProduct(choice.outer, ids, *weights);
  if (!weights) {
    reason = "the mixing weights are no matrix of tokens and slots";
    return std::nullopt;
  }
  return ChoiceValues{ids, values.spread(*weights, ids)};
}

Value moe::buildWeight(OpBuilder &builder, Location loc, const Tracer &tracer,
                       ArrayRef<IndexedValue> gates, ArrayRef<int> summed,
                       RowBuilder &rows, Type element) {
  int label = Digit::kNone;
  for (int candidate : summed) {
    if (tracer.getExtent(candidate) == 1)
      continue;
    if (label != Digit::kNone)
      return {};
    label = candidate;
  }
  Value product;
  for (const IndexedValue &gate : gates) {
    std::optional<double> number = getNumber(gate.value);
    Value value;
    if (number)
      value = rows.buildFilled(builder.getFloatAttr(element, *number), 1);
    else
      value = rows.build(gate, gate.dependsOn(label) ? label : Digit::kNone);
    if (!value)
      return {};
    if (getTensorType(value).getElementType() != element)
      value = buildCast(builder, loc, value, element);
    RankedTensorType type = getTensorType(value);
    if (product && getTensorType(product).getDimSize(1) > type.getDimSize(1))
      type = getTensorType(product);
    product = product ? onnx::MulOp::create(builder, loc, type, product, value)
                            .getResult()
                      : value;
  }
  if (!product)
    return rows.buildFilled(builder.getFloatAttr(element, 1.0), 1);
  int64_t width = getTensorType(product).getDimSize(1);
  if (label == Digit::kNone)
    return product;
  // What does not depend on the label is counted once for each of its values.
  if (width == 1)
    return {};
  auto axisType = RankedTensorType::get({1}, builder.getI64Type());
  Value axis = onnx::ConstantOp::create(
      builder, loc, axisType,
      DenseElementsAttr::get(axisType, builder.getI64IntegerAttr(-1)));
  Type column =
      RankedTensorType::get({getTensorType(product).getDimSize(0), 1}, element);
  return onnx::ReduceSumOp::create(builder, loc, column, product, axis,
                                   builder.getI64IntegerAttr(1),
                                   builder.getI64IntegerAttr(0));
}
