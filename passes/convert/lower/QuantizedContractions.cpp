//===- QuantizedContractions.cpp - lowering of products of integers -----===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Zero points are subtracted first; products and sums are integers of 32 bits.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Convolution.h"
#include "passes/convert/lower/Quantization.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

/// The elements of `original` without their zero point, which may be left out.
Value subtractZeroPoint(Lowering &l, Value original, Value zeroPoint,
                        int64_t axis) {
  TensorBuilder &t = l.tensors;
  Value tensor = l.get(original);
  Type i32 = t.builder.getI32Type();
  bool isUnsigned = Lowering::isUnsigned(original);
  SmallVector<Value> inputs = {tensor};
  if (Value given = l.get(zeroPoint))
    inputs.push_back(alignParameter(t, given, tensor, axis));
  return t.map(inputs, i32, [&](TensorBuilder &inner, ValueRange v) {
    Value x = inner.convert(v[0], i32, isUnsigned);
    return v.size() == 1 ? x
                         : inner.sub(x, inner.convert(v[1], i32, isUnsigned));
  });
}

/// What the scales of two operands and of the result, and its zero point, make
/// of a sum of products. Each may be a vector along its axis.
struct Requantization {
  Value scaleA, scaleB, scaleY, zeroPoint;
  int64_t axisA, axisB, axisY;
};

void setRequantized(Lowering &l, Value result, Value sums,
                    const Requantization &how) {
  TensorBuilder &t = l.tensors;
  SmallVector<Value> inputs = {sums};
  auto addInput = [&](Value original, int64_t axis) {
    inputs.push_back(alignParameter(t, l.get(original), sums, axis));
  };
  addInput(how.scaleA, how.axisA);
  addInput(how.scaleB, how.axisB);
  addInput(how.scaleY, how.axisY);
  addInput(how.zeroPoint, how.axisY);
  Type f32 = t.builder.getF32Type(), type = getElement(how.zeroPoint);
  bool isUnsigned = type.isUnsignedInteger();
  l.set(result,
        t.map(inputs, getElement(inputs.back()),
              [&](TensorBuilder &inner, ValueRange v) {
                auto number = [&](unsigned i) {
                  return inner.convert(v[i], f32);
                };
                Value scale =
                    inner.div(inner.mul(number(1), number(2)), number(3));
                Value zeroPoint = inner.convert(v[4], f32, isUnsigned);
                Value scaled = quantize(inner, inner.mul(number(0), scale),
                                        zeroPoint, type);
                return inner.convert(scaled, v[4].getType(),
                                     /*fromUnsigned=*/false, isUnsigned);
              }));
}

LogicalResult lowerMatMulInteger(onnx::MatMulIntegerOp op, Lowering &l) {
  int64_t rankA = Lowering::getType(op.getA()).getRank();
  int64_t rankB = Lowering::getType(op.getB()).getRank();
  if (rankA < 2 || rankB < 2)
    return l.error() << "expected operands of rank 2 or higher";
  Value a = subtractZeroPoint(l, op.getA(), op.getAZeroPoint(), rankA - 2);
  Value b = subtractZeroPoint(l, op.getB(), op.getBZeroPoint(), rankB - 1);
  l.set(op.getY(), l.tensors.matmul(a, b));
  return success();
}

LogicalResult lowerQLinearMatMul(onnx::QLinearMatMulOp op, Lowering &l) {
  int64_t rankA = Lowering::getType(op.getA()).getRank();
  int64_t rankB = Lowering::getType(op.getB()).getRank();
  if (rankA < 2 || rankB < 2)
    return l.error() << "expected operands of rank 2 or higher";
  Value a = subtractZeroPoint(l, op.getA(), op.getAZeroPoint(), rankA - 2);
  Value b = subtractZeroPoint(l, op.getB(), op.getBZeroPoint(), rankB - 1);
  Value sums = l.tensors.matmul(a, b);
  int64_t rank = Lowering::getType(sums).getRank();
  setRequantized(l, op.getY(), sums,
                 {op.getAScale(), op.getBScale(), op.getYScale(),
                  op.getYZeroPoint(), rank - 2, rank - 1, rank - 2});
  return success();
}

template <typename Op> WindowAttributes getAttributes(Op op) {
  return {
      {}, op.getStrides(), op.getDilations(), op.getPads(), op.getAutoPad()};
}

LogicalResult lowerConvInteger(onnx::ConvIntegerOp op, Lowering &l) {
  Value x = subtractZeroPoint(l, op.getX(), op.getXZeroPoint(), 0);
  Value w = subtractZeroPoint(l, op.getW(), op.getWZeroPoint(), 0);
  FailureOr<Value> sums =
      convolve(l, x, w, Value(), getAttributes(op), op.getGroup());
  if (failed(sums))
    return failure();
  l.set(op.getY(), *sums);
  return success();
}

LogicalResult lowerQLinearConv(onnx::QLinearConvOp op, Lowering &l) {
  Value x = subtractZeroPoint(l, op.getX(), op.getXZeroPoint(), 0);
  Value w = subtractZeroPoint(l, op.getW(), op.getWZeroPoint(), 0);
  FailureOr<Value> sums =
      convolve(l, x, w, l.get(op.getB()), getAttributes(op), op.getGroup());
  if (failed(sums))
    return failure();
  setRequantized(l, op.getY(), *sums,
                 {op.getXScale(), op.getWScale(), op.getYScale(),
                  op.getYZeroPoint(), 0, 1, 0});
  return success();
}

} // namespace

void moe::addQuantizedContractionLowerings(LoweringTable &table) {
  table.add(lowerMatMulInteger);
  table.add(lowerQLinearMatMul);
  table.add(lowerConvInteger);
  table.add(lowerQLinearConv);
  addLinearQuantizationLowerings(table);
}
