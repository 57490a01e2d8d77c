//===- NarrowTypes.cpp - numbers of 8, 4 and 2 bits -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/NarrowTypes.h"

#include "mlir/Dialect/Math/IR/Math.h"

#include <cmath>

using namespace mlir;
using namespace mlir::moe;

bool moe::isNarrowFloat(Type type) {
  return isa<FloatType>(type) && type.getIntOrFloatBitWidth() <= 8;
}

bool moe::isNarrowInteger(Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  return integer && integer.getWidth() > 1 && integer.getWidth() < 8;
}

Type moe::getStoredType(Type type) {
  if (isNarrowFloat(type) || isNarrowInteger(type))
    return IntegerType::get(type.getContext(), 8);
  if (auto integer = dyn_cast<IntegerType>(type))
    return IntegerType::get(type.getContext(), integer.getWidth());
  return type;
}

namespace {

const llvm::fltSemantics &getSemantics(Type type) {
  return cast<FloatType>(type).getFloatSemantics();
}

Value compareBits(TensorBuilder &t, arith::CmpIPredicate predicate, Value bits,
                  int64_t other) {
  return arith::CmpIOp::create(t.builder, t.loc, predicate, bits,
                               t.constant(bits.getType(), double(other)));
}

Value shiftRight(TensorBuilder &t, Value bits, int64_t count) {
  return arith::ShRUIOp::create(t.builder, t.loc, bits,
                                t.constant(bits.getType(), double(count)));
}

Value addBits(TensorBuilder &t, Value bits, int64_t other) {
  return t.add(bits, t.constant(bits.getType(), double(other)));
}

Value maskBits(TensorBuilder &t, Value bits, int64_t mask) {
  return arith::AndIOp::create(t.builder, t.loc, bits,
                               t.constant(bits.getType(), double(mask)));
}

/// The f32 with this biased exponent.
Value powerOfTwo(TensorBuilder &t, Value exponent) {
  Value bits = arith::ShLIOp::create(t.builder, t.loc, exponent,
                                     t.constant(exponent.getType(), 23));
  return arith::BitcastOp::create(t.builder, t.loc, t.builder.getF32Type(),
                                  bits);
}

/// The number that the bits of a narrow float stand for, as f32: all of them
/// are in a table.
Value decode(TensorBuilder &t, Value code, Type narrow) {
  unsigned width = narrow.getIntOrFloatBitWidth();
  SmallVector<float> numbers;
  for (unsigned i = 0; i < 256; ++i) {
    APFloat number(getSemantics(narrow), APInt(8, i).trunc(width));
    bool isExact;
    number.convert(APFloat::IEEEsingle(), APFloat::rmNearestTiesToEven,
                   &isExact);
    numbers.push_back(number.convertToFloat());
  }
  auto type = RankedTensorType::get({256}, t.builder.getF32Type());
  Value table = arith::ConstantOp::create(
      t.builder, t.loc, DenseElementsAttr::get(type, ArrayRef(numbers)));
  Value index = arith::IndexCastUIOp::create(t.builder, t.loc,
                                             t.builder.getIndexType(), code);
  return t.extract(table, index);
}

/// The biased exponent of an f32, with what is behind it rounded.
Value encodePowerOfTwo(TensorBuilder &t, Value number,
                       const Narrowing &narrowing) {
  using arith::CmpIPredicate;
  Type i32 = t.builder.getI32Type();
  Value bits = arith::BitcastOp::create(t.builder, t.loc, i32, number);
  Value exponent = maskBits(t, shiftRight(t, bits, 23), 0xff);
  Value fraction = maskBits(t, bits, 0x7fffff);
  Value roundsUp;
  if (narrowing.roundMode == "up") {
    roundsUp = compareBits(t, CmpIPredicate::ne, fraction, 0);
  } else if (narrowing.roundMode == "nearest") {
    Value isAbove = compareBits(t, CmpIPredicate::ugt, fraction, 0x400000);
    Value isTie = compareBits(t, CmpIPredicate::eq, fraction, 0x400000);
    Value isNormal = compareBits(t, CmpIPredicate::ne, exponent, 0);
    roundsUp = arith::OrIOp::create(
        t.builder, t.loc, isAbove,
        arith::AndIOp::create(t.builder, t.loc, isTie, isNormal));
  } else {
    roundsUp = t.constant(t.builder.getI1Type(), 0);
  }
  // Infinity and NaN are 255.
  int64_t highest = narrowing.saturate ? 0xfe : 0xff;
  Value canGrow = compareBits(t, CmpIPredicate::ult, exponent, highest);
  Value grows = arith::AndIOp::create(t.builder, t.loc, roundsUp, canGrow);
  Value code = t.select(grows, addBits(t, exponent, 1), exponent);
  return arith::TruncIOp::create(t.builder, t.loc, t.builder.getI8Type(), code);
}

/// The bits of the narrow float nearest to an f32, ties to even.
Value encode(TensorBuilder &t, Value number, Type narrow,
             const Narrowing &narrowing) {
  using arith::CmpIPredicate;
  if (isa<Float8E8M0FNUType>(narrow))
    return encodePowerOfTwo(t, number, narrowing);
  const llvm::fltSemantics &semantics = getSemantics(narrow);
  unsigned width = narrow.getIntOrFloatBitWidth();
  int64_t mantissa = APFloat::semanticsPrecision(semantics) - 1;
  int64_t least = APFloat::semanticsMinExponent(semantics);
  APFloat largest = APFloat::getLargest(semantics);
  bool hasNegativeZero = APFloat::semanticsHasSignedRepr(semantics) &&
                         !isa<Float8E4M3FNUZType, Float8E5M2FNUZType>(narrow);
  auto getCode = [&](const APFloat &value) {
    return int64_t(value.bitcastToAPInt().getZExtValue());
  };
  // A type without NaN has a negative zero instead.
  bool hasNaN = !isa<Float4E2M1FNType>(narrow);
  int64_t nan =
      hasNaN ? getCode(APFloat::getNaN(semantics)) : int64_t(1) << (width - 1);
  int64_t overflow = narrowing.saturate || !hasNaN ? getCode(largest)
                     : isa<Float8E5M2Type>(narrow)
                         ? getCode(APFloat::getInf(semantics))
                         : nan;

  Type i32 = t.builder.getI32Type(), f32 = t.builder.getF32Type();
  Value bits = arith::BitcastOp::create(t.builder, t.loc, i32, number);
  Value sign = shiftRight(t, bits, 31), size = maskBits(t, bits, 0x7fffffff);
  Value isNaN = compareBits(t, CmpIPredicate::ugt, size, 0x7f800000);
  // Finite numbers of 2^30 and more all overflow.
  Value bounded = arith::MinUIOp::create(t.builder, t.loc, size,
                                         t.constant(i32, (30 + 127) << 23));
  Value absolute = arith::BitcastOp::create(t.builder, t.loc, f32, bounded);
  // Round to multiples of 2^(exponent - mantissa).
  Value exponent =
      arith::MaxSIOp::create(t.builder, t.loc, shiftRight(t, bounded, 23),
                             t.constant(i32, double(least + 127)));
  Value unit = powerOfTwo(t, addBits(t, exponent, -mantissa));
  Value inverse =
      powerOfTwo(t, t.sub(t.constant(i32, double(254 + mantissa)), exponent));
  Value count =
      math::RoundEvenOp::create(t.builder, t.loc, t.mul(absolute, inverse));
  Value rounded = t.mul(count, unit);
  auto isBelow = [&](double bound) {
    return t.compare(CmpIPredicate::slt, arith::CmpFPredicate::OLT, rounded,
                     t.constant(f32, bound));
  };
  Value subnormal = arith::FPToUIOp::create(t.builder, t.loc, i32, count);
  Value normal = addBits(
      t,
      shiftRight(t, arith::BitcastOp::create(t.builder, t.loc, i32, rounded),
                 23 - mantissa),
      -((least + 126) << mantissa));
  Value code = t.select(isBelow(std::ldexp(1.0, least)), subnormal, normal);
  double limit = largest.convertToDouble();
  Value overflows = t.compare(CmpIPredicate::sgt, arith::CmpFPredicate::OGT,
                              rounded, t.constant(f32, limit));
  code = t.select(overflows, t.constant(i32, double(overflow)), code);
  Value signBit =
      arith::ShLIOp::create(t.builder, t.loc, sign, t.constant(i32, width - 1));
  if (!hasNegativeZero)
    signBit =
        t.select(compareBits(t, CmpIPredicate::eq, code, 0), code, signBit);
  code = arith::OrIOp::create(t.builder, t.loc, code, signBit);
  code = t.select(isNaN, t.constant(i32, double(nan)), code);
  return arith::TruncIOp::create(t.builder, t.loc, t.builder.getI8Type(), code);
}

/// The low bits of an integer, extended to 8 bits.
Value wrapInteger(TensorBuilder &t, Value byte, IntegerType narrow) {
  Value count = t.constant(byte.getType(), 8 - int(narrow.getWidth()));
  Value high = arith::ShLIOp::create(t.builder, t.loc, byte, count);
  if (narrow.isUnsigned())
    return arith::ShRUIOp::create(t.builder, t.loc, high, count);
  return arith::ShRSIOp::create(t.builder, t.loc, high, count);
}

} // namespace

Value moe::convertElement(TensorBuilder &t, Value element, Type from, Type to,
                          const Narrowing &narrowing) {
  if (from == to)
    return element;
  Type f32 = t.builder.getF32Type();
  if (isNarrowFloat(from))
    return convertElement(t, decode(t, element, from), f32, to, narrowing);
  bool fromUnsigned = from.isUnsignedInteger();
  if (isNarrowFloat(to))
    return encode(t, t.convert(element, f32, fromUnsigned), to, narrowing);
  if (!isNarrowInteger(to))
    return t.convert(element, getStoredType(to), fromUnsigned,
                     to.isUnsignedInteger());
  Type i8 = t.builder.getI8Type();
  if (isa<FloatType>(from))
    element = t.convert(element, t.builder.getI32Type());
  return wrapInteger(t, t.convert(element, i8, fromUnsigned),
                     cast<IntegerType>(to));
}
