//===- Matrix.cpp - matrices in registers ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/TensorHandlers.h"
#include "runtime/device/emulated/execute/Warp.h"
#include "runtime/device/emulated/vector/Numbers.h"
#include "runtime/device/emulated/vector/Operations.h"

#include <cmath>
#include <cstring>

using namespace emulated;

static void requireWholeWarp(Warp &warp, const Instruction &x, uint32_t mask) {
  if (mask != kAllLanes)
    warp.fail(FaultKind::Synchronisation, x, __builtin_ctz(mask),
              "is executed by some lanes of a warp only");
}

/// Lanes 8i to 8i + 7 hold the addresses of the rows of tile i.
static uint32_t getRowLanes(const Instruction &x) {
  return x.count == 4 ? kAllLanes : (1u << 8 * x.count) - 1;
}

void emulated::loadMatrix(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  requireWholeWarp(warp, x, mask);
  uint8_t *rows[kWarpSize];
  resolve(warp, x, x.addresses[0], getRowLanes(x), 16, Access::Read, rows);
  uint16_t tiles[4][8][8];
  for (unsigned i = 0; i < x.count; ++i)
    for (unsigned row = 0; row < 8; ++row)
      memcpy(tiles[i][row], rows[8 * i + row], 16);
  for (unsigned i = 0; i < x.count; ++i) {
    uint32_t *to = lanes.word(x.results[i]);
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      unsigned row = lane / 4, column = lane % 4 * 2;
      to[lane] = x.flags & 1 ? tiles[i][column][row] |
                                   uint32_t(tiles[i][column + 1][row]) << 16
                             : tiles[i][row][column] |
                                   uint32_t(tiles[i][row][column + 1]) << 16;
    }
  }
}

void emulated::storeMatrix(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  requireWholeWarp(warp, x, mask);
  uint8_t *rows[kWarpSize];
  resolve(warp, x, x.addresses[0], getRowLanes(x), 16, Access::Write, rows);
  for (unsigned i = 0; i < x.count; ++i) {
    const uint32_t *from = lanes.word(x.operands[i]);
    uint16_t tile[8][8];
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      unsigned row = lane / 4, column = lane % 4 * 2;
      uint16_t low = from[lane], high = from[lane] >> 16;
      (x.flags & 1 ? tile[column][row] : tile[row][column]) = low;
      (x.flags & 1 ? tile[column + 1][row] : tile[row][column + 1]) = high;
    }
    for (unsigned row = 0; row < 8; ++row)
      memcpy(rows[8 * i + row], tile[row], 16);
  }
}

float emulated::decodeElement(Type type, uint32_t bits) {
  switch (type) {
  case Type::F16:
    return halfToFloat(bits & 0xffff);
  case Type::BF16:
    return bfloatToFloat(bits & 0xffff);
  case Type::TF32:
    // The hardware takes 10 digits of the fraction.
    return bitCast<float>(bits & 0xffffe000u);
  case Type::E5M2:
    // The high half of a half.
    return halfToFloat((bits & 0xff) << 8);
  case Type::E4M3: {
    bits &= 0xff;
    uint32_t exponent = bits >> 3 & 15, fraction = bits & 7;
    float value = (bits & 0x7f) == 0x7f ? NAN
                  : exponent ? ldexpf(8 + fraction, int(exponent) - 10)
                             : ldexpf(fraction, -9);
    return bits & 0x80 ? -value : value;
  }
  case Type::S8:
    return int8_t(bits);
  case Type::U8:
    return uint8_t(bits);
  default:
    return bitCast<float>(bits);
  }
}

namespace {

/// The fragments of mma: a register of 32 bits holds `perWord` neighbours
/// along k. The four lanes of a quad hold those of one row of A, or column of
/// B, side by side.
template <typename T> struct Product {
  T a[16 * 32], b[32 * 8], c[16 * 8];
};

template <typename T, typename Decode>
void readFactors(Lanes &lanes, const Instruction &x, Product<T> &product,
                 unsigned perWord, Decode decode) {
  unsigned depth = x.count, bits = 32 / perWord;
  unsigned numA = x.immediate & 0xff, numB = x.immediate >> 8 & 0xff;
  for (unsigned i = 0; i < numA; ++i) {
    const uint32_t *from = lanes.word(x.operands[i]);
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      unsigned row = lane / 4 + i % 2 * 8;
      unsigned k = lane % 4 * perWord + i / 2 * 4 * perWord;
      for (unsigned j = 0; j < perWord; ++j)
        product.a[row * depth + k + j] = decode(x.type, from[lane] >> bits * j);
    }
  }
  for (unsigned i = 0; i < numB; ++i) {
    const uint32_t *from = lanes.word(x.operands[numA + i]);
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      unsigned k = lane % 4 * perWord + i * 4 * perWord;
      for (unsigned j = 0; j < perWord; ++j)
        product.b[(k + j) * 8 + lane / 4] =
            decode(x.source, from[lane] >> bits * j);
    }
  }
}

template <typename T>
void readSums(Lanes &lanes, const Operand *operands, T *c) {
  for (unsigned i = 0; i < 4; ++i) {
    const uint32_t *from = lanes.word(operands[i]);
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] =
          bitCast<T>(from[lane]);
  }
}

template <typename T>
void writeSums(Lanes &lanes, const Operand *results, const T *c) {
  for (unsigned i = 0; i < 4; ++i) {
    uint32_t *to = lanes.word(results[i]);
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      to[lane] = bitCast<uint32_t>(
          c[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2]);
  }
}

void readHalfSums(Lanes &lanes, const Operand *operands, float *c) {
  for (unsigned i = 0; i < 2; ++i) {
    const uint32_t *from = lanes.word(operands[i]);
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      for (unsigned j = 0; j < 2; ++j)
        c[(lane / 4 + i * 8) * 8 + lane % 4 * 2 + j] =
            halfToFloat(from[lane] >> 16 * j & 0xffff);
  }
}

void writeHalfSums(Lanes &lanes, const Operand *results, const float *c) {
  for (unsigned i = 0; i < 2; ++i) {
    uint32_t *to = lanes.word(results[i]);
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      const float *pair = c + (lane / 4 + i * 8) * 8 + lane % 4 * 2;
      to[lane] = floatToHalf(pair[0]) | floatToHalf(pair[1]) << 16;
    }
  }
}

} // namespace

void emulated::multiplyMatrix(Lanes &lanes, const Instruction &x,
                              uint32_t mask) {
  requireWholeWarp(static_cast<Warp &>(lanes), x, mask);
  const MatrixKernels &kernels = getMatrixKernels();
  unsigned perWord = 4 / sizeOf(x.type);
  const Operand *sums =
      x.operands + (x.immediate & 0xff) + (x.immediate >> 8 & 0xff);
  if (x.type == Type::S8 || x.type == Type::U8) {
    Product<int32_t> product;
    readFactors(lanes, x, product, perWord, [](Type type, uint32_t bits) {
      return type == Type::S8 ? int32_t(int8_t(bits)) : int32_t(uint8_t(bits));
    });
    readSums(lanes, sums, product.c);
    kernels.multiplyInteger(product.c, product.a, product.b, 16, 8, x.count);
    return writeSums(lanes, x.results, product.c);
  }
  Product<float> product;
  // A lambda for each frequent type, which the compiler expands.
  if (x.type == Type::F16 && x.source == Type::F16)
    readFactors(lanes, x, product, perWord,
                [](Type, uint32_t bits) { return halfToFloat(bits & 0xffff); });
  else if (x.type == Type::BF16 && x.source == Type::BF16)
    readFactors(lanes, x, product, perWord, [](Type, uint32_t bits) {
      return bfloatToFloat(bits & 0xffff);
    });
  else
    readFactors(lanes, x, product, perWord, decodeElement);
  bool isHalfSum = x.flags & 1, isHalfResult = x.flags & 2;
  isHalfSum ? readHalfSums(lanes, sums, product.c)
            : readSums(lanes, sums, product.c);
  kernels.multiplyFloat(product.c, product.a, product.b, 16, 8, x.count);
  isHalfResult ? writeHalfSums(lanes, x.results, product.c)
               : writeSums(lanes, x.results, product.c);
}
