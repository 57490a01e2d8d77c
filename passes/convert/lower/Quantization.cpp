//===- Quantization.cpp - integers that stand for numbers ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Quantization.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

Value moe::alignParameter(TensorBuilder &t, Value parameter, Value tensor,
                          int64_t axis) {
  RankedTensorType type = Lowering::getType(parameter);
  if (type.hasStaticShape() && type.getNumElements() == 1)
    return t.reshape(parameter, {});
  if (type.getRank() != 1)
    return parameter;
  t.checkEqual(t.size(parameter, 0), t.size(tensor, axis),
               "expected a scale and a zero point for each place of an axis");
  Sizes sizes(Lowering::getType(tensor).getRank(), t.builder.getIndexAttr(1));
  sizes[axis] = t.size(parameter, 0);
  return t.reshape(parameter, sizes);
}

Value moe::quantize(TensorBuilder &t, Value x, Value zeroPoint, Type integer) {
  Type real = x.getType();
  unsigned width = integer.getIntOrFloatBitWidth();
  bool isUnsigned = integer.isUnsignedInteger();
  APInt least =
      isUnsigned ? APInt::getMinValue(width) : APInt::getSignedMinValue(width);
  APInt greatest =
      isUnsigned ? APInt::getMaxValue(width) : APInt::getSignedMaxValue(width);
  x = math::RoundEvenOp::create(t.builder, t.loc, x);
  if (zeroPoint)
    x = t.add(x, zeroPoint);
  // Unlike `min` and `max`, these two prefer a number to NaN.
  x = arith::MaxNumFOp::create(
      t.builder, t.loc, x, t.constant(real, least.roundToDouble(!isUnsigned)));
  return arith::MinNumFOp::create(
      t.builder, t.loc, x,
      t.constant(real, greatest.roundToDouble(!isUnsigned)));
}
