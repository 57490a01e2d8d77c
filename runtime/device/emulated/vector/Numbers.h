//===- Numbers.h - bits and values of floating point numbers ----*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_VECTOR_NUMBERS_H
#define RUNTIME_DEVICE_EMULATED_VECTOR_NUMBERS_H

#include <cstdint>

#pragma clang diagnostic ignored "-Wunused-function"

namespace emulated {
// Internal linkage: each instruction set has its own copy.
namespace {

template <typename To, typename From>
__attribute__((always_inline)) inline To bitCast(From from) {
  static_assert(sizeof(To) == sizeof(From), "sizes differ");
  return __builtin_bit_cast(To, from);
}

/// An IEEE half as a float, exact. Written without branches, for the
/// vectoriser: the exponent is rebased by a multiplication.
__attribute__((always_inline)) inline float halfToFloat(uint32_t half) {
  uint32_t magnitude = (half & 0x7fff) << 13;
  uint32_t scaled = bitCast<uint32_t>(bitCast<float>(magnitude) * 0x1p112f);
  uint32_t bits = magnitude >= 0x0f800000u ? magnitude | 0x7f800000u : scaled;
  return bitCast<float>(bits | (half & 0x8000) << 16);
}

/// Rounds to nearest even.
__attribute__((always_inline)) inline uint32_t floatToHalf(float value) {
  uint32_t bits = bitCast<uint32_t>(value);
  uint32_t magnitude = bits & 0x7fffffff;
  uint32_t normal =
      (magnitude - (112u << 23) + 0xfff + (magnitude >> 13 & 1)) >> 13;
  // The addition of 1/2 leaves the digits of a subnormal half in the last
  // places, rounded.
  uint32_t tiny =
      bitCast<uint32_t>(bitCast<float>(magnitude) + 0.5f) - 0x3f000000u;
  uint32_t result = magnitude < 0x38800000u ? tiny : normal;
  result = magnitude >= 0x477ff000u ? 0x7c00u : result;
  result = magnitude > 0x7f800000u ? 0x7fffu : result;
  return result | (magnitude > 0x7f800000u ? 0 : bits >> 16 & 0x8000);
}

__attribute__((always_inline)) inline float bfloatToFloat(uint32_t value) {
  return bitCast<float>(value << 16);
}

__attribute__((always_inline)) inline uint32_t floatToBfloat(float value) {
  uint32_t bits = bitCast<uint32_t>(value);
  uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  return (bits & 0x7fffffff) > 0x7f800000u ? 0x7fffu : rounded;
}

/// Rounds a double to a float such that a second rounding to fewer digits gives
/// what one rounding would: an inexact result has an odd last digit.
__attribute__((always_inline)) inline float toOddFloat(double value) {
  float nearest = (float)value;
  uint32_t bits = bitCast<uint32_t>(nearest);
  double back = nearest;
  // Towards zero first, if the rounding went away from it.
  bool isAway = (back < 0 ? -back : back) > (value < 0 ? -value : value);
  uint32_t truncated = bits - (isAway ? 1 : 0);
  bool isExact = back == value || value != value;
  return bitCast<float>(isExact ? bits : truncated | 1);
}

} // namespace
} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_VECTOR_NUMBERS_H
