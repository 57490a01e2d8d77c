//===- RowBuilder.cpp - indexed values as matrices of rows ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/RowBuilder.h"

using namespace mlir;
using namespace mlir::moe;

static bool isWhole(const Axis &axis, const Tracer &tracer) {
  if (axis.size() != 1 || axis[0].isConstant())
    return false;
  const Digit &digit = axis[0];
  int64_t extent = tracer.getExtent(digit.label);
  return digit.offset == 0 && digit.step == 1 &&
         (digit.radix == extent || ShapedType::isDynamic(digit.radix) ||
          ShapedType::isDynamic(extent));
}

SmallVector<int64_t> RowBuilder::getExtents(int64_t width) const {
  SmallVector<int64_t> shape;
  for (int label : rows)
    shape.push_back(tracer.getExtent(label));
  shape.push_back(width);
  return shape;
}

void RowBuilder::learnExtents(const IndexedValue &value) {
  for (auto [i, axis] : llvm::enumerate(value.axes)) {
    if (!isWhole(axis, tracer))
      continue;
    auto row = llvm::find(rows, axis[0].label);
    if (row != rows.end() && !sources[row - rows.begin()].value)
      sources[row - rows.begin()] = {value.value, static_cast<int64_t>(i)};
  }
}

Value RowBuilder::buildIntegers(ArrayRef<int64_t> values) {
  auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                    builder.getI64Type());
  return onnx::ConstantOp::create(builder, loc, type,
                                  DenseIntElementsAttr::get(type, values));
}

Value RowBuilder::buildShape(int64_t width) {
  SmallVector<int64_t> extents = getExtents(width);
  if (llvm::none_of(extents, ShapedType::isDynamic))
    return buildIntegers(extents);
  SmallVector<Value> parts;
  auto i64 = builder.getI64Type();
  for (auto [extent, source] : llvm::zip(extents, sources)) {
    if (!ShapedType::isDynamic(extent)) {
      parts.push_back(buildIntegers(extent));
      continue;
    }
    if (!source.value)
      return {};
    parts.push_back(onnx::ShapeOp::create(
        builder, loc, RankedTensorType::get({1}, i64), source.value,
        builder.getI64IntegerAttr(source.dim + 1),
        builder.getI64IntegerAttr(source.dim)));
  }
  parts.push_back(buildIntegers(width));
  return onnx::ConcatOp::create(
      builder, loc,
      RankedTensorType::get({static_cast<int64_t>(parts.size())}, i64), parts,
      builder.getI64IntegerAttr(0));
}

Value RowBuilder::flatten(Value value, int64_t width) {
  RankedTensorType type = getTensorType(value);
  if (type.getRank() == 2)
    return value;
  int64_t count = type.hasStaticShape() && width > 0
                      ? type.getNumElements() / width
                      : ShapedType::kDynamic;
  return onnx::ReshapeOp::create(
      builder, loc,
      RankedTensorType::get({count, width}, type.getElementType()), value,
      buildIntegers({-1, width}));
}

Value RowBuilder::expand(Value value, int64_t width) {
  RankedTensorType type = getTensorType(value);
  SmallVector<int64_t> extents = getExtents(width);
  if (type.getShape() == ArrayRef(extents) &&
      llvm::none_of(extents, ShapedType::isDynamic))
    return value;
  Value shape = buildShape(width);
  if (!shape)
    return {};
  return onnx::ExpandOp::create(
      builder, loc, RankedTensorType::get(extents, type.getElementType()),
      value, shape);
}

Value RowBuilder::build(const IndexedValue &indexed, int column) {
  if (Value plain = buildMatrix(builder, loc, tracer, indexed, rows, column))
    return plain;
  SmallVector<int> wanted(rows);
  if (column != Digit::kNone)
    wanted.push_back(column);
  // The dimensions in the order of the labels, then those of extent 1.
  SmallVector<int64_t> order, missing;
  SmallVector<bool> used(indexed.axes.size());
  for (auto [place, label] : llvm::enumerate(wanted)) {
    auto found = llvm::find_if(indexed.axes, [&](const Axis &axis) {
      return isWhole(axis, tracer) && axis[0].label == label;
    });
    if (found == indexed.axes.end()) {
      missing.push_back(place);
      continue;
    }
    order.push_back(found - indexed.axes.begin());
    used[order.back()] = true;
  }
  int64_t present = order.size();
  for (auto [i, axis] : llvm::enumerate(indexed.axes)) {
    if (used[i])
      continue;
    if (!axis.empty())
      return {};
    order.push_back(i);
  }
  int64_t width = column == Digit::kNone ? 1 : tracer.getExtent(column);
  if (ShapedType::isDynamic(width))
    return {};
  Value value = indexed.value;
  RankedTensorType type = getTensorType(value);
  SmallVector<int64_t> shape;
  for (int64_t i : order)
    shape.push_back(type.getDimSize(i));
  auto retype = [&] {
    return RankedTensorType::get(shape, type.getElementType());
  };
  if (!llvm::is_sorted(order))
    value = onnx::TransposeOp::create(builder, loc, retype(), value,
                                      builder.getDenseI64ArrayAttr(order));
  if (static_cast<size_t>(present) != order.size()) {
    shape.truncate(present);
    value = onnx::SqueezeOp::create(
        builder, loc, retype(), value,
        buildIntegers(
            llvm::to_vector(llvm::seq<int64_t>(present, order.size()))));
  }
  if (column == Digit::kNone)
    missing.push_back(rows.size());
  for (int64_t place : missing)
    shape.insert(shape.begin() + place, 1);
  if (!missing.empty())
    value = onnx::UnsqueezeOp::create(builder, loc, retype(), value,
                                      buildIntegers(missing));
  value = expand(value, width);
  return value ? flatten(value, width) : Value();
}

Value RowBuilder::buildFilled(TypedAttr number, int64_t columns) {
  SmallVector<int64_t> ones(rows.size() + 1, 1);
  auto type = RankedTensorType::get(ones, number.getType());
  Value value = onnx::ConstantOp::create(builder, loc, type,
                                         DenseElementsAttr::get(type, number));
  value = expand(value, columns);
  return value ? flatten(value, columns) : Value();
}

Value RowBuilder::restore(Value matrix, RankedTensorType type) {
  SmallVector<int64_t> shape(type.getShape());
  Value target;
  if (llvm::count_if(shape, ShapedType::isDynamic) <= 1) {
    for (int64_t &extent : shape)
      extent = ShapedType::isDynamic(extent) ? -1 : extent;
    target = buildIntegers(shape);
  } else if (shape.size() == rows.size() + 1) {
    target = buildShape(shape.back());
  }
  return target ? onnx::ReshapeOp::create(builder, loc, type, matrix, target)
                      .getResult()
                : Value();
}

Value RowBuilder::buildCount(int label) {
  SmallVector<int64_t> shape;
  for (int row : rows)
    shape.push_back(row == label ? tracer.getExtent(label) : 1);
  shape.push_back(1);
  auto type = RankedTensorType::get(shape, builder.getI64Type());
  SmallVector<int64_t> numbers =
      llvm::to_vector(llvm::seq<int64_t>(0, tracer.getExtent(label)));
  Value value = onnx::ConstantOp::create(
      builder, loc, type, DenseIntElementsAttr::get(type, numbers));
  value = expand(value, 1);
  return value ? flatten(value, 1) : Value();
}
