//===- QuantizedNumbers.cpp - numbers of less than 16 bits in registers -----===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/QuantizedNumbers.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace mlir::moe;

/// Lanes of a register of 64 bytes.
static constexpr int64_t kWideLanes = 16;

/// f8E4M3FN has the bias 7, f16 the bias 15: its bits, shifted to the place of
/// those of f16, stand for numbers that are smaller by this factor.
static constexpr float kBiasFactor = 256;

/// The magnitudes of f4E2M1FN.
static constexpr float kFloat4[] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};

QuantizedNumbers::QuantizedNumbers(const TileTarget &target,
                                   kern::QuantizedAttr layout)
    : lanes(target.lanes), layout(layout), numbers(layout.getNumbers()),
      bits(numbers.getIntOrFloatBitWidth()) {}

int64_t QuantizedNumbers::getStepBytes() const {
  return kPanelColumns * kStepRows * bits / 8;
}

int64_t QuantizedNumbers::getChunkRows() const {
  constexpr int64_t kChunkRows = 256;
  int64_t group = layout.getGroup();
  return group * std::max<int64_t>(1, kChunkRows / group);
}

Value QuantizedNumbers::splat(KernelBuilder &b, int32_t value) const {
  return arith::ConstantOp::create(
      b, DenseElementsAttr::get(getType(b.getI32Type()),
                                b.getI32IntegerAttr(value)));
}

Value QuantizedNumbers::loadBytes(KernelBuilder &b, Value panels, Value offset,
                                  int64_t bytes) const {
  return vector::LoadOp::create(b, VectorType::get(bytes, b.getI8Type()),
                                panels, offset);
}

/// `vector`, as many bits as `type` has.
static Value bitcast(KernelBuilder &b, VectorType type, Value vector) {
  return vector::BitCastOp::create(b, type, vector);
}

SmallVector<Value> QuantizedNumbers::loadStep(KernelBuilder &b, Value panels,
                                              Value offset,
                                              int64_t lane) const {
  // Eight numbers of four bits of a column lie in a word of 32 bits.
  if (bits == 4)
    return {bitcast(b, getType(b.getI32Type()),
                    loadBytes(b, panels, b.add(offset, 4 * lane), 4 * lanes))};
  SmallVector<Value> rows;
  for (int64_t row = 0; row < kStepRows; ++row)
    rows.push_back(
        loadBytes(b, panels, b.add(offset, row * kPanelColumns + lane), lanes));
  return rows;
}

Value QuantizedNumbers::unpack(KernelBuilder &b, ArrayRef<Value> step,
                               int64_t row) const {
  if (bits == 4)
    return unpackHalfByte(b, step.front(),
                          splat(b, 4 * static_cast<int32_t>(row)));
  return widenBytes(b, step[row]);
}

Value QuantizedNumbers::loadRow(KernelBuilder &b, Value panels, Value offset,
                                Value row, int64_t lane) const {
  if (bits == 4) {
    Value words = loadStep(b, panels, offset, lane).front();
    Value shift = arith::IndexCastOp::create(b, b.getI32Type(), b.mul(row, 4));
    shift = vector::BroadcastOp::create(b, getType(b.getI32Type()), shift);
    return unpackHalfByte(b, words, shift);
  }
  Value place = b.add(b.add(offset, b.mul(row, kPanelColumns)), lane);
  return widenBytes(b, loadBytes(b, panels, place, lanes));
}

Value QuantizedNumbers::loadZeros(KernelBuilder &b, Value panels, Value offset,
                                  int64_t lane) const {
  // They are the last bytes of a group.
  Value place = b.add(offset, getGroupBytes() - kPanelColumns + lane);
  return arith::UIToFPOp::create(b, getType(b.getF32Type()),
                                 loadBytes(b, panels, place, lanes));
}

Value QuantizedNumbers::loadScales(KernelBuilder &b, Value panels, Value offset,
                                   int64_t lane) const {
  Type type = layout.getScales();
  int64_t bytes = type.getIntOrFloatBitWidth() / 8;
  int64_t first = kPanelColumns * layout.getGroup() * bits / 8;
  Value stored =
      loadBytes(b, panels, b.add(offset, first + bytes * lane), bytes * lanes);
  VectorType floats = getType(b.getF32Type());
  Value scales;
  if (type.isBF16()) {
    // The upper half of an f32.
    Value words =
        arith::ExtUIOp::create(b, getType(b.getI32Type()),
                               bitcast(b, getType(b.getI16Type()), stored));
    scales = bitcast(b, floats, arith::ShLIOp::create(b, words, splat(b, 16)));
  } else {
    scales = bitcast(b, getType(type), stored);
    if (!type.isF32())
      scales = arith::ExtFOp::create(b, floats, scales);
  }
  if (!isa<Float8E4M3FNType>(numbers))
    return scales;
  Value factor = arith::ConstantOp::create(
      b, DenseElementsAttr::get(floats, b.getF32FloatAttr(kBiasFactor)));
  return arith::MulFOp::create(b, scales, factor);
}

Value QuantizedNumbers::widenBytes(KernelBuilder &b, Value bytes) const {
  VectorType floats = getType(b.getF32Type());
  if (numbers.isUnsignedInteger())
    return arith::UIToFPOp::create(b, floats, bytes);
  if (isa<IntegerType>(numbers))
    return arith::SIToFPOp::create(b, floats, bytes);
  VectorType halves = getType(b.getI16Type());
  auto splatHalf = [&](int16_t value) -> Value {
    return arith::ConstantOp::create(
        b, DenseElementsAttr::get(halves, b.getI16IntegerAttr(value)));
  };
  Value words;
  if (isa<Float8E5M2Type>(numbers)) {
    // The upper half of an f16.
    words = arith::ShLIOp::create(b, arith::ExtUIOp::create(b, halves, bytes),
                                  splatHalf(8));
  } else {
    // Three bits of a mantissa of ten, and the sign where it belongs.
    words = arith::ShLIOp::create(b, arith::ExtSIOp::create(b, halves, bytes),
                                  splatHalf(7));
    words = arith::AndIOp::create(b, words,
                                  splatHalf(static_cast<int16_t>(0xbfff)));
  }
  return arith::ExtFOp::create(b, floats,
                               bitcast(b, getType(b.getF16Type()), words));
}

/// The numbers in bits `shift` to `shift + 3` of the words.
Value QuantizedNumbers::unpackHalfByte(KernelBuilder &b, Value words,
                                       Value shift) const {
  VectorType floats = getType(b.getF32Type());
  bool isFloat = isa<Float4E2M1FNType>(numbers);
  if (lanes == kWideLanes) {
    // A look-up reads the lowest four bits of an index.
    float table[16];
    for (int i = 0; i < 16; ++i) {
      if (isFloat)
        table[i] = i < 8 ? kFloat4[i] : -kFloat4[i - 8];
      else
        table[i] = numbers.isUnsignedInteger() || i < 8 ? i : i - 16;
    }
    return lookUp(b, table, arith::ShRUIOp::create(b, words, shift));
  }
  if (numbers.isUnsignedInteger()) {
    Value low = arith::AndIOp::create(
        b, arith::ShRUIOp::create(b, words, shift), splat(b, 15));
    return arith::SIToFPOp::create(b, floats, low);
  }
  Value up = arith::SubIOp::create(b, splat(b, 28), shift);
  Value top = arith::ShLIOp::create(b, words, up);
  if (!isFloat)
    return arith::SIToFPOp::create(
        b, floats, arith::ShRSIOp::create(b, top, splat(b, 28)));
  // Of eight magnitudes, by the lowest three bits; then the sign.
  Value magnitude = lookUp(b, kFloat4, arith::ShRUIOp::create(b, words, shift));
  Value sign =
      arith::AndIOp::create(b, top, splat(b, static_cast<int32_t>(0x80000000)));
  Value value = arith::OrIOp::create(
      b, bitcast(b, getType(b.getI32Type()), magnitude), sign);
  return bitcast(b, floats, value);
}

/// Entries of a table that fits into a register.
Value QuantizedNumbers::lookUp(KernelBuilder &b, ArrayRef<float> table,
                               Value indices) const {
  VectorType floats = getType(b.getF32Type());
  Value entries =
      arith::ConstantOp::create(b, DenseElementsAttr::get(floats, table));
  bool isWide = lanes == kWideLanes;
  StringRef name =
      isWide ? "llvm.x86.avx512.permvar.sf.512" : "llvm.x86.avx2.permps";
  return LLVM::CallIntrinsicOp::create(b, floats, b.getStringAttr(name),
                                       ValueRange{entries, indices})
      .getResults();
}
