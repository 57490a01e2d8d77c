//===- ElementConversion.cpp - element types of weights -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/ElementConversion.h"

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
  }
  __builtin_unreachable();
}

} // namespace

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
