//===- ElementConversion.cpp - element types of weights -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/ElementConversion.h"

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>

using namespace mlir;
using namespace mlir::moe;

namespace {

struct F16 {
  using Bits = uint16_t;
  static float load(Bits bits) {
    _Float16 value;
    std::memcpy(&value, &bits, sizeof(bits));
    return static_cast<float>(value);
  }
  template <typename T> static Bits store(T number) {
    auto value = static_cast<_Float16>(number);
    Bits bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return bits;
  }
};

struct BF16 {
  using Bits = uint16_t;
  static float load(Bits bits) {
    uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof(value));
    return value;
  }
  template <typename T> static Bits store(T number) {
    auto value = static_cast<float>(number);
    uint32_t wide;
    std::memcpy(&wide, &value, sizeof(wide));
    // Rounding up could turn a NaN into an infinity.
    if (std::isnan(value))
      return static_cast<Bits>(wide >> 16 | 0x40);
    return static_cast<Bits>((wide + 0x7fff + (wide >> 16 & 1)) >> 16);
  }
};

/// A type that C++ has.
template <typename T> struct Plain {
  using Bits = T;
  static T load(Bits bits) { return bits; }
  template <typename U> static Bits store(U number) {
    if constexpr (std::is_floating_point_v<U> && std::is_integral_v<T>) {
      if (std::isnan(number))
        return 0;
      if (number <= static_cast<U>(std::numeric_limits<T>::min()))
        return std::numeric_limits<T>::min();
      if (number >= static_cast<U>(std::numeric_limits<T>::max()))
        return std::numeric_limits<T>::max();
    }
    return static_cast<T>(number);
  }
};

template <typename From, typename To>
void convert(const char *source, int64_t sourceStride, char *target,
             size_t count) {
  using FromBits = typename From::Bits;
  using ToBits = typename To::Bits;
  if constexpr (std::is_same_v<From, To>)
    if (sourceStride == 1) {
      std::memcpy(target, source, count * sizeof(ToBits));
      return;
    }
  // Files do not align their numbers.
  for (size_t i = 0; i < count; ++i) {
    FromBits from;
    std::memcpy(&from, source, sizeof(from));
    ToBits to;
    if constexpr (std::is_same_v<From, To>)
      to = from;
    else
      to = To::store(From::load(from));
    std::memcpy(target, &to, sizeof(to));
    source += sourceStride * static_cast<int64_t>(sizeof(FromBits));
    target += sizeof(ToBits);
  }
}

/// Calls `body` with the type that stands for `kind`.
template <typename Body> auto dispatch(ElementKind kind, Body body) {
  switch (kind) {
  case ElementKind::F16:
    return body(F16());
  case ElementKind::BF16:
    return body(BF16());
  case ElementKind::F32:
    return body(Plain<float>());
  case ElementKind::F64:
    return body(Plain<double>());
  case ElementKind::I8:
    return body(Plain<int8_t>());
  case ElementKind::I16:
    return body(Plain<int16_t>());
  case ElementKind::I32:
    return body(Plain<int32_t>());
  case ElementKind::I64:
    return body(Plain<int64_t>());
  case ElementKind::U8:
    return body(Plain<uint8_t>());
  case ElementKind::U16:
    return body(Plain<uint16_t>());
  case ElementKind::U32:
    return body(Plain<uint32_t>());
  case ElementKind::U64:
    return body(Plain<uint64_t>());
  default:
    __builtin_unreachable();
  }
}

/// The value of a float of 8 or 4 bits that is no special number: a sign,
/// `exponentBits` and `mantissaBits`.
float decode(unsigned bits, int exponentBits, int mantissaBits, int bias) {
  unsigned mantissa = bits & ((1u << mantissaBits) - 1);
  int exponent = bits >> mantissaBits & ((1u << exponentBits) - 1);
  bool isNegative = bits >> (exponentBits + mantissaBits) & 1;
  float magnitude =
      exponent == 0
          ? std::ldexp(static_cast<float>(mantissa), 1 - bias - mantissaBits)
          : std::ldexp(static_cast<float>(mantissa | 1u << mantissaBits),
                       exponent - bias - mantissaBits);
  return isNegative ? -magnitude : magnitude;
}

float widen(ElementKind kind, unsigned bits) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  switch (kind) {
  case ElementKind::U2:
  case ElementKind::U4:
    return static_cast<float>(bits);
  case ElementKind::I2:
    return static_cast<float>(static_cast<int>(bits ^ 2) - 2);
  case ElementKind::I4:
    return static_cast<float>(static_cast<int>(bits ^ 8) - 8);
  case ElementKind::F4E2M1FN:
    return decode(bits, 2, 1, 1);
  case ElementKind::F8E4M3FN:
    return (bits & 0x7f) == 0x7f ? nan : decode(bits, 4, 3, 7);
  case ElementKind::F8E5M2:
    if ((bits & 0x7c) == 0x7c)
      return (bits & 3) != 0 ? nan : (bits & 0x80) != 0 ? -infinity : infinity;
    return decode(bits, 5, 2, 15);
  case ElementKind::F8E8M0FNU:
    return bits == 0xff ? nan : std::ldexp(1.0f, static_cast<int>(bits) - 127);
  default:
    __builtin_unreachable();
  }
}

} // namespace

bool moe::isNarrow(ElementKind kind) { return kind >= ElementKind::I2; }

unsigned moe::getBitSize(ElementKind kind) {
  switch (kind) {
  case ElementKind::I2:
  case ElementKind::U2:
    return 2;
  case ElementKind::I4:
  case ElementKind::U4:
  case ElementKind::F4E2M1FN:
    return 4;
  case ElementKind::F8E4M3FN:
  case ElementKind::F8E5M2:
  case ElementKind::F8E8M0FNU:
    return 8;
  default:
    return 8 * getByteSize(kind);
  }
}

unsigned moe::getByteSize(ElementKind kind) {
  return dispatch(kind, [](auto type) {
    return static_cast<unsigned>(sizeof(typename decltype(type)::Bits));
  });
}

ConvertFunction moe::getConversion(ElementKind from, ElementKind to) {
  return dispatch(from, [&](auto source) {
    return dispatch(to, [&](auto target) -> ConvertFunction {
      return convert<decltype(source), decltype(target)>;
    });
  });
}

/// The value of each bit pattern of a narrow kind.
static const float *getValues(ElementKind kind) {
  static const auto tables = [] {
    constexpr int first = static_cast<int>(ElementKind::I2);
    constexpr int last = static_cast<int>(ElementKind::F8E8M0FNU);
    std::array<std::array<float, 256>, last - first + 1> result;
    for (int i = first; i <= last; ++i)
      for (unsigned bits = 0; bits < 1u << getBitSize(ElementKind(i)); ++bits)
        result[i - first][bits] = widen(ElementKind(i), bits);
    return result;
  }();
  return tables[static_cast<int>(kind) - static_cast<int>(ElementKind::I2)]
      .data();
}

void moe::widenElements(ElementKind from, const char *source, int64_t first,
                        int64_t stride, float *target, size_t count) {
  const int64_t bits = getBitSize(from), perByte = 8 / bits;
  const float *values = getValues(from);
  const unsigned mask = (1u << bits) - 1;
  for (size_t i = 0; i < count; ++i, first += stride) {
    auto byte = static_cast<unsigned char>(source[first / perByte]);
    target[i] = values[byte >> (first % perByte * bits) & mask];
  }
}
