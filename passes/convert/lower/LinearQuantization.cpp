//===- LinearQuantization.cpp - QuantizeLinear and DequantizeLinear -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"
#include "passes/convert/lower/NarrowTypes.h"
#include "passes/convert/lower/Quantization.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Scales or zero points: one for a tensor, for each entry of an axis, or for
/// each block of `block` entries of that axis.
class Parameters {
public:
  static FailureOr<Parameters> get(Lowering &l, Value original, Value input,
                                   int64_t axis, int64_t block) {
    Parameters result;
    if (!Lowering::has(original))
      return result;
    RankedTensorType type = Lowering::getType(original);
    int64_t rank = Lowering::getType(input).getRank();
    result.tensor = l.get(original);
    result.element = type.getElementType();
    result.isSingle =
        type.getRank() == 0 ||
        (type.hasStaticShape() && block == 0 && type.getNumElements() == 1);
    if (result.isSingle)
      return result;
    if (block < 0 || type.getRank() != (block ? rank : 1))
      return l.error() << "expected a scale and a zero point of rank "
                       << (block ? rank : 1) << ", got " << type;
    FailureOr<int64_t> dim = l.getAxis(axis, rank);
    if (failed(dim))
      return failure();
    result.axis = *dim;
    result.block = block;
    TensorBuilder &t = l.tensors;
    OpFoldResult extent = t.size(l.get(input), *dim);
    OpFoldResult needed =
        block
            ? t.divSizes(t.addSizes(extent, t.builder.getIndexAttr(block - 1)),
                         t.builder.getIndexAttr(block))
            : extent;
    t.checkEqual(t.size(result.tensor, block ? *dim : 0), needed,
                 "expected as many scales and zero points as the input needs");
    return result;
  }

  explicit operator bool() const { return static_cast<bool>(tensor); }
  Type getElementType() const { return element; }

  /// The one for the element at the current place of the loops over the input.
  Value read(TensorBuilder &t) const {
    SmallVector<Value> place;
    RankedTensorType type = Lowering::getType(tensor);
    for (int64_t i = 0; i < type.getRank(); ++i) {
      if (isSingle) {
        place.push_back(t.index(0));
        continue;
      }
      Value position =
          linalg::IndexOp::create(t.builder, t.loc, block ? i : axis);
      if (block && i == axis)
        position =
            arith::DivUIOp::create(t.builder, t.loc, position, t.index(block));
      place.push_back(position);
    }
    return t.extract(tensor, place);
  }

private:
  Value tensor;
  Type element;
  bool isSingle = true;
  int64_t axis = 0, block = 0;
};

/// (x - zero point) * scale
LogicalResult lowerDequantizeLinear(onnx::DequantizeLinearOp op, Lowering &l) {
  FailureOr<Parameters> scale = Parameters::get(
      l, op.getXScale(), op.getX(), op.getAxis(), op.getBlockSize());
  FailureOr<Parameters> zero = Parameters::get(l, op.getXZeroPoint(), op.getX(),
                                               op.getAxis(), op.getBlockSize());
  if (failed(scale) || failed(zero))
    return failure();
  TensorBuilder &t = l.tensors;
  Type from = Lowering::getType(op.getX()).getElementType();
  Type to = Lowering::getType(op.getY()).getElementType();
  Type wide = getAccumulator(to);
  // Integers are subtracted as integers.
  Type middle = isa<FloatType>(from) ? wide : Type(t.builder.getI32Type());
  l.set(op.getY(),
        t.map(l.get(op.getX()), to, [&](TensorBuilder &inner, ValueRange v) {
          Value x = convertElement(inner, v[0], from, middle);
          if (*zero)
            x = inner.sub(
                x, convertElement(inner, zero->read(inner), from, middle));
          Value factor = convertElement(inner, scale->read(inner),
                                        scale->getElementType(), wide);
          return inner.convert(inner.mul(inner.convert(x, wide), factor), to);
        }));
  return success();
}

/// The least and the greatest integer of `type`, as numbers.
std::pair<double, double> getRange(IntegerType type) {
  double count = std::ldexp(1.0, type.getWidth());
  return type.isUnsigned() ? std::make_pair(0.0, count - 1)
                           : std::make_pair(-count / 2, count / 2 - 1);
}

/// round(x / scale) + zero point, bounded by the type of the result.
LogicalResult lowerQuantizeLinear(onnx::QuantizeLinearOp op, Lowering &l) {
  FailureOr<Parameters> scale = Parameters::get(
      l, op.getYScale(), op.getX(), op.getAxis(), op.getBlockSize());
  FailureOr<Parameters> zero = Parameters::get(l, op.getYZeroPoint(), op.getX(),
                                               op.getAxis(), op.getBlockSize());
  if (failed(scale) || failed(zero))
    return failure();
  TensorBuilder &t = l.tensors;
  Type from = Lowering::getType(op.getX()).getElementType();
  Type to = Lowering::getType(op.getY()).getElementType();
  Type f32 = t.builder.getF32Type();
  Narrowing narrowing;
  narrowing.saturate = op.getSaturate();
  auto quantize = [&](TensorBuilder &inner, Value x) -> Value {
    Value factor =
        convertElement(inner, scale->read(inner), scale->getElementType(), f32);
    Value ratio = inner.div(convertElement(inner, x, from, f32), factor);
    auto type = dyn_cast<IntegerType>(to);
    if (!type)
      return convertElement(inner, ratio, f32, to, narrowing);
    Value rounded = math::RoundEvenOp::create(inner.builder, inner.loc, ratio);
    if (*zero)
      rounded =
          inner.add(rounded, convertElement(inner, zero->read(inner), to, f32));
    auto [low, high] = getRange(type);
    rounded = inner.min(inner.max(rounded, inner.constant(f32, low)),
                        inner.constant(f32, high));
    Type i32 = inner.builder.getI32Type();
    return convertElement(inner, inner.convert(rounded, i32), i32, to);
  };
  l.set(op.getY(), t.map(l.get(op.getX()), getStoredType(to),
                         [&](TensorBuilder &inner, ValueRange v) {
                           return quantize(inner, v[0]);
                         }));
  return success();
}

} // namespace

void moe::addLinearQuantizationLowerings(LoweringTable &table) {
  table.add(lowerDequantizeLinear);
  table.add(lowerQuantizeLinear);
}
