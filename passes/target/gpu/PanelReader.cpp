//===- PanelReader.cpp - single numbers of packed matrices ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/PanelReader.h"

using namespace mlir;
using namespace mlir::moe;

PanelReader::PanelReader(Value buffer, int64_t sources,
                         std::optional<kern::QuantizedAttr> quantized)
    : buffer(buffer), sources(sources),
      quantized(quantized.value_or(kern::QuantizedAttr())) {
  ArrayRef<int64_t> shape = cast<MemRefType>(buffer.getType()).getShape();
  columns = shape[shape.size() - 2];
  unitSize = shape.back();
}

Value PanelReader::load(ExpertBuilder &b, ValueRange leading, int64_t source,
                        Value k, Value column) const {
  Value rows = b.index(quantized ? quantized.getGroup() : unitSize);
  SmallVector<Value> indices(leading);
  indices.push_back(
      b.add(b.mul(b.div(column, b.index(columns)), sources), source));
  indices.push_back(b.div(k, rows));
  Value row = b.rem(k, rows), inner = b.rem(column, b.index(columns));
  if (quantized)
    return loadQuantized(b, indices, row, inner);
  indices.append({inner, row});
  return b.loadWide(buffer, indices);
}

namespace {

/// Arithmetic on the bits of narrow numbers.
struct Bits {
  ExpertBuilder &b;

  Value i32(int64_t value) {
    return arith::ConstantIntOp::create(b, value, 32);
  }
  Value left(Value x, int64_t count) {
    return arith::ShLIOp::create(b, x, i32(count));
  }
  Value right(Value x, int64_t count) {
    return arith::ShRUIOp::create(b, x, i32(count));
  }
  Value mask(Value x, int64_t bits) {
    return arith::AndIOp::create(b, x, i32(bits));
  }
  Value either(Value x, Value y) { return arith::OrIOp::create(b, x, y); }
  Value toFloat(Value bits) {
    return arith::BitcastOp::create(b, b.getF32Type(), bits);
  }

  /// A number of a sign, `exponent` and `mantissa` bits, of which none is
  /// infinite or NaN.
  Value decode(Value bits, int64_t exponent, int64_t mantissa, int64_t bias) {
    Value sign = left(mask(right(bits, exponent + mantissa), 1), 31);
    Value size = mask(bits, (1 << (exponent + mantissa)) - 1);
    Value normal = arith::AddIOp::create(b, left(size, 23 - mantissa),
                                         i32((127 - bias) << 23));
    // Below the smallest normal number: a multiple of a power of two.
    Value step = b.number(std::ldexp(1.0, 1 - bias - mantissa));
    Value small = arith::MulFOp::create(
        b, Value(arith::UIToFPOp::create(b, b.getF32Type(), size)), step);
    Value isSmall = arith::CmpIOp::create(b, arith::CmpIPredicate::ult, size,
                                          i32(1 << mantissa));
    Value value = b.select(isSmall, small, toFloat(normal));
    Value signedBits =
        either(sign, Value(arith::BitcastOp::create(b, b.getI32Type(), value)));
    return toFloat(signedBits);
  }
};

} // namespace

Value PanelReader::loadQuantized(ExpertBuilder &b, ArrayRef<Value> unit,
                                 Value row, Value column) const {
  Bits bits{b};
  // A byte of the group, whose bytes are consecutive.
  auto loadByte = [&](Value place) -> Value {
    SmallVector<Value> indices(unit);
    indices.push_back(b.div(place, b.index(unitSize)));
    indices.push_back(b.rem(place, b.index(unitSize)));
    Value byte = memref::LoadOp::create(b, buffer, indices);
    return arith::ExtUIOp::create(b, b.getI32Type(), byte);
  };
  Type type = quantized.getNumbers(), scales = quantized.getScales();
  bool isHalfByte = type.getIntOrFloatBitWidth() == 4;
  int64_t numberBytes =
      quantized.getGroup() * columns * type.getIntOrFloatBitWidth() / 8;

  Value number;
  if (isHalfByte) {
    // Eight rows of a column in four bytes, the first in the lowest bits.
    Value word = b.add(b.mul(b.div(row, b.index(8)), columns), column);
    Value place =
        b.add(b.mul(word, 4), b.div(b.rem(row, b.index(8)), b.index(2)));
    Value isOdd = arith::CmpIOp::create(b, arith::CmpIPredicate::ne,
                                        b.rem(row, b.index(2)), b.index(0));
    Value byte = loadByte(place);
    number = b.select(isOdd, bits.right(byte, 4), bits.mask(byte, 15));
  } else {
    number = loadByte(b.add(b.mul(row, columns), column));
  }

  Value scale;
  int64_t scaleBytes = scales.getIntOrFloatBitWidth() / 8;
  Value place = b.add(b.mul(column, scaleBytes), numberBytes);
  Value raw = loadByte(place);
  for (int64_t i = 1; i < scaleBytes; ++i)
    raw = bits.either(raw, bits.left(loadByte(b.add(place, i)), 8 * i));
  if (scales.isF16())
    scale = arith::ExtFOp::create(
        b, b.getF32Type(),
        Value(arith::BitcastOp::create(
            b, b.getF16Type(),
            Value(arith::TruncIOp::create(b, b.getI16Type(), raw)))));
  else
    scale = bits.toFloat(scales.isBF16() ? bits.left(raw, 16) : raw);

  Value value;
  if (isa<Float4E2M1FNType>(type)) {
    value = bits.decode(number, 2, 1, 1);
  } else if (isa<Float8E4M3FNType>(type)) {
    value = bits.decode(number, 4, 3, 7);
  } else if (isa<Float8E5M2Type>(type)) {
    // The upper half of a number of 16 bits.
    Value half =
        arith::TruncIOp::create(b, b.getI16Type(), bits.left(number, 8));
    value = arith::ExtFOp::create(
        b, b.getF32Type(),
        Value(arith::BitcastOp::create(b, b.getF16Type(), half)));
  } else {
    if (quantized.hasZeroPoints()) {
      Value zero = loadByte(b.add(column, numberBytes + columns * scaleBytes));
      number = arith::SubIOp::create(b, number, zero);
    } else {
      int64_t shift = isHalfByte ? 28 : 24;
      number =
          arith::ShRSIOp::create(b, bits.left(number, shift), bits.i32(shift));
    }
    value = arith::SIToFPOp::create(b, b.getF32Type(), number);
  }
  return arith::MulFOp::create(b, scale, value);
}
