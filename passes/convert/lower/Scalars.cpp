//===- Scalars.cpp - scalars and extents of tensor expressions --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/TensorBuilder.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

Type moe::getAccumulator(Type type) {
  if (isa<FloatType>(type) && type.getIntOrFloatBitWidth() < 32)
    return Float32Type::get(type.getContext());
  return type;
}

Value TensorBuilder::index(int64_t value) {
  return arith::ConstantIndexOp::create(builder, loc, value);
}

Value TensorBuilder::index(OpFoldResult value) {
  return getValueOrCreateConstantIndexOp(builder, loc, value);
}

Value TensorBuilder::constant(Type type, double value) {
  if (auto real = dyn_cast<FloatType>(type))
    return arith::ConstantOp::create(builder, loc,
                                     builder.getFloatAttr(real, value));
  return arith::ConstantOp::create(
      builder, loc, builder.getIntegerAttr(type, static_cast<int64_t>(value)));
}

Value TensorBuilder::extreme(Type type, bool high) {
  if (auto real = dyn_cast<FloatType>(type))
    return arith::ConstantOp::create(
        builder, loc,
        builder.getFloatAttr(real,
                             APFloat::getInf(real.getFloatSemantics(), !high)));
  unsigned width = type.getIntOrFloatBitWidth();
  return arith::ConstantOp::create(
      builder, loc,
      builder.getIntegerAttr(type, high ? APInt::getSignedMaxValue(width)
                                        : APInt::getSignedMinValue(width)));
}

Value TensorBuilder::add(Value a, Value b) {
  if (isa<FloatType>(a.getType()))
    return arith::AddFOp::create(builder, loc, a, b);
  return arith::AddIOp::create(builder, loc, a, b);
}

Value TensorBuilder::sub(Value a, Value b) {
  if (isa<FloatType>(a.getType()))
    return arith::SubFOp::create(builder, loc, a, b);
  return arith::SubIOp::create(builder, loc, a, b);
}

Value TensorBuilder::mul(Value a, Value b) {
  if (isa<FloatType>(a.getType()))
    return arith::MulFOp::create(builder, loc, a, b);
  return arith::MulIOp::create(builder, loc, a, b);
}

Value TensorBuilder::div(Value a, Value b, bool isUnsigned) {
  if (isa<FloatType>(a.getType()))
    return arith::DivFOp::create(builder, loc, a, b);
  // Division by zero must not trap: divide by one, then discard.
  Value zero = constant(a.getType(), 0), one = constant(a.getType(), 1);
  Value isZero =
      arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, b, zero);
  Value divisor = select(isZero, one, b);
  Value quotient =
      isUnsigned ? arith::DivUIOp::create(builder, loc, a, divisor).getResult()
                 : arith::DivSIOp::create(builder, loc, a, divisor).getResult();
  return select(isZero, zero, quotient);
}

Value TensorBuilder::max(Value a, Value b, bool isUnsigned) {
  if (isa<FloatType>(a.getType()))
    return arith::MaximumFOp::create(builder, loc, a, b);
  if (isUnsigned)
    return arith::MaxUIOp::create(builder, loc, a, b);
  return arith::MaxSIOp::create(builder, loc, a, b);
}

Value TensorBuilder::min(Value a, Value b, bool isUnsigned) {
  if (isa<FloatType>(a.getType()))
    return arith::MinimumFOp::create(builder, loc, a, b);
  if (isUnsigned)
    return arith::MinUIOp::create(builder, loc, a, b);
  return arith::MinSIOp::create(builder, loc, a, b);
}

Value TensorBuilder::compare(arith::CmpIPredicate integer,
                             arith::CmpFPredicate real, Value a, Value b) {
  if (isa<FloatType>(a.getType()))
    return arith::CmpFOp::create(builder, loc, real, a, b);
  return arith::CmpIOp::create(builder, loc, integer, a, b);
}

Value TensorBuilder::select(Value condition, Value yes, Value no) {
  return arith::SelectOp::create(builder, loc, condition, yes, no);
}

Value TensorBuilder::convert(Value value, Type type, bool fromUnsigned,
                             bool toUnsigned) {
  Type from = value.getType();
  if (from == type)
    return value;
  if (from.isIndex() || type.isIndex()) {
    if (isa<FloatType>(from) || isa<FloatType>(type)) {
      Type i64 = builder.getI64Type();
      return convert(convert(value, i64), type);
    }
    return arith::IndexCastOp::create(builder, loc, type, value);
  }
  if (type.isInteger(1))
    return compare(arith::CmpIPredicate::ne, arith::CmpFPredicate::UNE, value,
                   constant(from, 0));
  bool unsignedSource = fromUnsigned || from.isInteger(1);
  if (isa<FloatType>(from) && isa<FloatType>(type)) {
    unsigned oldWidth = from.getIntOrFloatBitWidth();
    unsigned newWidth = type.getIntOrFloatBitWidth();
    if (oldWidth == newWidth) // f16 and bf16 meet in f32.
      return convert(convert(value, builder.getF32Type()), type);
    if (oldWidth < newWidth)
      return arith::ExtFOp::create(builder, loc, type, value);
    return arith::TruncFOp::create(builder, loc, type, value);
  }
  if (isa<FloatType>(type)) {
    if (unsignedSource)
      return arith::UIToFPOp::create(builder, loc, type, value);
    return arith::SIToFPOp::create(builder, loc, type, value);
  }
  if (isa<FloatType>(from)) {
    if (toUnsigned)
      return arith::FPToUIOp::create(builder, loc, type, value);
    return arith::FPToSIOp::create(builder, loc, type, value);
  }
  unsigned oldWidth = from.getIntOrFloatBitWidth();
  unsigned newWidth = type.getIntOrFloatBitWidth();
  if (oldWidth > newWidth)
    return arith::TruncIOp::create(builder, loc, type, value);
  if (oldWidth == newWidth)
    return value;
  if (unsignedSource)
    return arith::ExtUIOp::create(builder, loc, type, value);
  return arith::ExtSIOp::create(builder, loc, type, value);
}

Value TensorBuilder::sigmoid(Value x) {
  Value one = constant(x.getType(), 1.0);
  Value negated = arith::NegFOp::create(builder, loc, x);
  Value power = math::ExpOp::create(builder, loc, negated);
  return div(one, add(one, power));
}

OpFoldResult TensorBuilder::size(Value tensor, int64_t dim) {
  return tensor::getMixedSize(builder, loc, tensor, dim);
}

Sizes TensorBuilder::sizes(Value tensor) {
  return tensor::getMixedSizes(builder, loc, tensor);
}

/// Folds constants, else builds the operation on index values.
static OpFoldResult combine(TensorBuilder &tensors, OpFoldResult a,
                            OpFoldResult b,
                            function_ref<int64_t(int64_t, int64_t)> fold,
                            function_ref<Value(Value, Value)> build) {
  std::optional<int64_t> left = getConstantIntValue(a);
  std::optional<int64_t> right = getConstantIntValue(b);
  if (left && right)
    return tensors.builder.getIndexAttr(fold(*left, *right));
  return build(tensors.index(a), tensors.index(b));
}

OpFoldResult TensorBuilder::addSizes(OpFoldResult a, OpFoldResult b) {
  if (isConstantIntValue(a, 0))
    return b;
  if (isConstantIntValue(b, 0))
    return a;
  return combine(
      *this, a, b, [](int64_t x, int64_t y) { return x + y; },
      [&](Value x, Value y) { return add(x, y); });
}

OpFoldResult TensorBuilder::subSizes(OpFoldResult a, OpFoldResult b) {
  if (isConstantIntValue(b, 0))
    return a;
  return combine(
      *this, a, b, [](int64_t x, int64_t y) { return x - y; },
      [&](Value x, Value y) { return sub(x, y); });
}

OpFoldResult TensorBuilder::mulSizes(OpFoldResult a, OpFoldResult b) {
  if (isConstantIntValue(a, 1))
    return b;
  if (isConstantIntValue(b, 1))
    return a;
  return combine(
      *this, a, b, [](int64_t x, int64_t y) { return x * y; },
      [&](Value x, Value y) { return mul(x, y); });
}

OpFoldResult TensorBuilder::divSizes(OpFoldResult a, OpFoldResult b) {
  if (isConstantIntValue(b, 1))
    return a;
  return combine(
      *this, a, b, [](int64_t x, int64_t y) { return y == 0 ? 0 : x / y; },
      [&](Value x, Value y) { return div(x, y); });
}

OpFoldResult TensorBuilder::product(ArrayRef<OpFoldResult> sizes) {
  OpFoldResult result = builder.getIndexAttr(1);
  for (OpFoldResult extent : sizes)
    result = mulSizes(result, extent);
  return result;
}

void TensorBuilder::check(Value condition, const Twine &message) {
  cf::AssertOp::create(builder, loc, condition, message.str());
}

void TensorBuilder::checkEqual(OpFoldResult a, OpFoldResult b,
                               const Twine &message) {
  if (a == b)
    return;
  check(arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, index(a),
                              index(b)),
        message);
}

void TensorBuilder::checkBroadcast(OpFoldResult own, OpFoldResult extent) {
  if (own == extent || isConstantIntValue(own, 1))
    return;
  Value mine = index(own);
  auto equals = [&](Value other) -> Value {
    return arith::CmpIOp::create(builder, loc, arith::CmpIPredicate::eq, mine,
                                 other);
  };
  check(arith::OrIOp::create(builder, loc, equals(index(1)),
                             equals(index(extent))),
        "expected extents that are equal or 1");
}
