//===- GatherQuantized.cpp - rows of quantised tables -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/GatherQuantized.h"

#include "passes/convert/raise/DataFlow.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Builds operators on rows: index dimensions, then those of a row.
class RowExpander {
public:
  RowExpander(OpBuilder &builder, Location loc, ArrayRef<int64_t> indexShape)
      : builder(builder), loc(loc), indexShape(indexShape) {}

  Value gather(Value table, Value indices) {
    RankedTensorType type = getTensorType(table);
    return onnx::GatherOp::create(
        builder, loc,
        TypeRange{getRows(type.getShape().back(), type.getElementType())},
        ValueRange{table, indices},
        builder.getNamedAttr("axis", builder.getI64IntegerAttr(0)));
  }

  /// The two numbers of four bits in each byte, the lower one first.
  Value splitBytes(Value rows) {
    Type byte = getTensorType(rows).getElementType();
    int64_t count = getTensorType(rows).getShape().back();
    Value low = binary<onnx::BitwiseAndOp>(rows, getScalar(byte, 15));
    Value high = onnx::BitShiftOp::create(
        builder, loc, TypeRange{rows.getType()},
        ValueRange{rows, getScalar(byte, 4)},
        builder.getNamedAttr("direction", builder.getStringAttr("RIGHT")));
    low = reshape(low, {count, 1});
    high = reshape(high, {count, 1});
    return onnx::ConcatOp::create(
        builder, loc, TypeRange{getRows({count, 2}, byte)},
        ValueRange{low, high},
        builder.getNamedAttr("axis", builder.getI64IntegerAttr(-1)));
  }

  Value reshape(Value rows, ArrayRef<int64_t> shape) {
    // 0 keeps a dimension.
    SmallVector<int64_t> sizes(indexShape.size(), 0);
    sizes.append(shape.begin(), shape.end());
    auto type = RankedTensorType::get(static_cast<int64_t>(sizes.size()),
                                      builder.getI64Type());
    Value target = onnx::ConstantOp::create(
        builder, loc, type, DenseIntElementsAttr::get(type, sizes));
    Type element = getTensorType(rows).getElementType();
    return onnx::ReshapeOp::create(
        builder, loc, TypeRange{getRows(shape, element)},
        ValueRange{rows, target}, ArrayRef<NamedAttribute>());
  }

  Value cast(Value rows, Type element) {
    RankedTensorType type = getTensorType(rows);
    if (type.getElementType() == element)
      return rows;
    // The numbers of types in TensorProto.
    int64_t to = element.isF32() ? 1 : element.isF16() ? 10 : 16;
    return onnx::CastOp::create(
        builder, loc, TypeRange{type.clone(element)}, ValueRange{rows},
        builder.getNamedAttr("to", builder.getI64IntegerAttr(to)));
  }

  template <typename OpTy> Value binary(Value left, Value right) {
    return OpTy::create(builder, loc, TypeRange{left.getType()},
                        ValueRange{left, right}, ArrayRef<NamedAttribute>());
  }

  Value getScalar(Type element, int64_t value) {
    auto type = RankedTensorType::get({}, element);
    Attribute attribute;
    if (isa<FloatType>(element))
      attribute = builder.getFloatAttr(element, static_cast<double>(value));
    else
      attribute = builder.getIntegerAttr(element, value);
    return onnx::ConstantOp::create(builder, loc, type,
                                    DenseElementsAttr::get(type, attribute));
  }

private:
  RankedTensorType getRows(ArrayRef<int64_t> shape, Type element) {
    SmallVector<int64_t> all(indexShape);
    all.append(shape.begin(), shape.end());
    return RankedTensorType::get(all, element);
  }

  OpBuilder &builder;
  Location loc;
  ArrayRef<int64_t> indexShape;
};

} // namespace

LogicalResult moe::expandGather(onnx::MicrosoftGatherBlockQuantizedOp op) {
  auto data = dyn_cast<RankedTensorType>(op.getData().getType());
  auto indices = dyn_cast<RankedTensorType>(op.getIndices().getType());
  auto scales = dyn_cast<RankedTensorType>(op.getScales().getType());
  auto output = dyn_cast<RankedTensorType>(op.getOutput().getType());
  int64_t bits = op.getBits(), block = op.getBlockSize();
  if (!data || !indices || !scales || !output || data.getRank() != 2 ||
      scales.getRank() != 2 || !data.getElementType().isUnsignedInteger(8) ||
      op.getGatherAxis() != 0 || (bits != 4 && bits != 8) || block < 1 ||
      (static_cast<int64_t>(op.getQuantizeAxis()) != 1 &&
       static_cast<int64_t>(op.getQuantizeAxis()) != -1))
    return failure();
  int64_t width = data.getDimSize(1) * 8 / bits, blocks = width / block;
  if (data.isDynamicDim(1) || width % block != 0 ||
      scales.getDimSize(1) != blocks)
    return failure();
  bool hasZeros = isPresent(op.getZeroPoints());
  if (hasZeros) {
    auto zeros = dyn_cast<RankedTensorType>(op.getZeroPoints().getType());
    if (!zeros || zeros.getRank() != 2 ||
        !zeros.getElementType().isUnsignedInteger(8) ||
        zeros.getDimSize(1) * 8 != blocks * bits)
      return failure();
  }

  OpBuilder builder(op);
  Type f32 = builder.getF32Type();
  RowExpander rows(builder, op.getLoc(), indices.getShape());
  auto unpack = [&](Value table, ArrayRef<int64_t> shape) {
    Value codes = rows.gather(table, op.getIndices());
    if (bits == 4)
      codes = rows.splitBytes(codes);
    return rows.cast(rows.reshape(codes, shape), f32);
  };
  Value numbers = unpack(op.getData(), {blocks, block});
  // Without zero points the middle is zero.
  Value zeros = hasZeros ? unpack(op.getZeroPoints(), {blocks, 1})
                         : rows.getScalar(f32, int64_t(1) << (bits - 1));
  Value factors = rows.cast(
      rows.reshape(rows.gather(op.getScales(), op.getIndices()), {blocks, 1}),
      f32);
  numbers = rows.binary<onnx::SubOp>(numbers, zeros);
  numbers = rows.binary<onnx::MulOp>(numbers, factors);
  numbers = rows.cast(rows.reshape(numbers, {width}), output.getElementType());
  // Types may name dimensions.
  if (getTensorType(numbers).getShape() != output.getShape() ||
      getTensorType(numbers).getElementType() != output.getElementType())
    return failure();
  numbers.setType(output);
  op.getOutput().replaceAllUsesWith(numbers);
  return success();
}
