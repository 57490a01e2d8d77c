//===- Convert.cpp - conversions between types on lanes -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/vector/Lanes.h"

#include <math.h>

using namespace emulated;

namespace {

/// The layout of a floating point format.
struct Format {
  int digits;      ///< of the fraction
  int minExponent; ///< of the least normal number
  int maxExponent;
  bool hasInfinity;
  double largest;
  uint32_t nan;
};
constexpr Format kHalf = {10, -14, 15, true, 65504.0, 0x7fff};
constexpr Format kBfloat = {7, -126, 127, true, 0x1.fep127, 0x7fff};
constexpr Format kTf32 = {10, -126, 127, true, 0x1.ff8p127, 0x3ffff};
constexpr Format kE4M3 = {3, -6, 8, false, 448.0, 0x7f};
constexpr Format kE5M2 = {2, -14, 15, true, 57344.0, 0x7f};

Format getFormat(Type type) {
  switch (type) {
  case Type::F16:
  case Type::F16x2:
    return kHalf;
  case Type::TF32:
    return kTf32;
  case Type::E4M3:
  case Type::E4M3x2:
    return kE4M3;
  case Type::E5M2:
  case Type::E5M2x2:
    return kE5M2;
  default:
    return kBfloat;
  }
}

double roundIntegral(double value, Rounding rounding) {
  switch (rounding) {
  case Rounding::Zero:
    return trunc(value);
  case Rounding::Down:
    return floor(value);
  case Rounding::Up:
    return ceil(value);
  case Rounding::NearestAway:
    return round(value);
  default:
    return rint(value);
  }
}

/// Encodes a value in a format of at most 19 bits, sign included.
uint32_t encode(double value, const Format &format, Rounding rounding,
                bool isFinite) {
  int exponentBits = format.maxExponent == 127 ? 8
                     : format.maxExponent == 8 ? 4
                                               : 5;
  uint32_t sign = signbit(value) ? 1u << (format.digits + exponentBits) : 0;
  if (isnan(value))
    return format.nan;
  double magnitude = fabs(value);
  if (sign && rounding == Rounding::Down)
    rounding = Rounding::Up;
  else if (sign && rounding == Rounding::Up)
    rounding = Rounding::Down;
  uint32_t infinity = ((1u << exponentBits) - 1) << format.digits;
  if (!isinf(value) && magnitude != 0) {
    int exponent = ilogb(magnitude);
    exponent = exponent < format.minExponent ? format.minExponent : exponent;
    double unit = ldexp(1.0, exponent - format.digits);
    magnitude = roundIntegral(magnitude / unit, rounding) * unit;
  }
  if (magnitude > format.largest) {
    bool staysFinite = isFinite || !format.hasInfinity ||
                       (!isinf(value) && (rounding == Rounding::Zero ||
                                          rounding == Rounding::Down));
    if (!staysFinite)
      return sign | infinity;
    magnitude = format.largest;
  }
  if (magnitude == 0)
    return sign;
  int exponent = ilogb(magnitude);
  if (exponent < format.minExponent)
    return sign |
           (uint32_t)ldexp(magnitude, format.digits - format.minExponent);
  uint32_t fraction = (uint32_t)ldexp(magnitude, format.digits - exponent) -
                      (1u << format.digits);
  return sign | (uint32_t)(exponent - format.minExponent + 1) << format.digits |
         fraction;
}

double decode(uint32_t bits, const Format &format, int exponentBits) {
  uint32_t fraction = bits & ((1u << format.digits) - 1);
  uint32_t exponent = bits >> format.digits & ((1u << exponentBits) - 1);
  bool isNegative = bits >> (format.digits + exponentBits) & 1;
  double value;
  bool isTop = exponent == (1u << exponentBits) - 1;
  if (isTop && (format.hasInfinity ? true : fraction == 7))
    value = format.hasInfinity && !fraction ? INFINITY : NAN;
  else if (exponent == 0)
    value = ldexp(fraction, format.minExponent - format.digits);
  else
    value = ldexp(fraction + (1u << format.digits),
                  (int)exponent - 1 + format.minExponent - format.digits);
  return isNegative ? -value : value;
}

double readFloat(Type type, uint64_t bits) {
  switch (type) {
  case Type::F64:
    return F64::get(bits);
  case Type::F16:
    return F16::get((uint32_t)bits);
  case Type::BF16:
    return BF16::get((uint32_t)bits);
  case Type::E4M3:
    return decode(bits & 0xff, kE4M3, 4);
  case Type::E5M2:
    return decode(bits & 0xff, kE5M2, 5);
  default:
    return F32::get((uint32_t)bits);
  }
}

uint64_t writeFloat(Type type, double value, Rounding rounding,
                    uint32_t flags) {
  if (flags & kRelu)
    value = value < 0 ? 0 : value;
  if (flags & kSaturate)
    value = value > 0 ? value < 1 ? value : 1 : 0;
  switch (type) {
  case Type::F64:
    return F64::put(value);
  case Type::F32:
    // Rounds by the mode of the processor.
    return F32::put((float)value);
  case Type::TF32:
    return (uint64_t)encode(value, kTf32, rounding, flags & kSaturateFinite)
           << 13;
  default:
    return encode(value, getFormat(type), rounding, flags & kSaturateFinite);
  }
}

template <typename R>
EMULATED_INLINE uint64_t readBits(Lanes &w, const Operand &operand,
                                  unsigned lane) {
  return getRegister<R>(w, operand)[lane];
}
EMULATED_INLINE uint64_t readLane(Lanes &w, const Operand &operand,
                                  unsigned lane) {
  return operand.kind == Operand::Wide ? readBits<uint64_t>(w, operand, lane)
                                       : readBits<uint32_t>(w, operand, lane);
}
EMULATED_INLINE void writeLane(Lanes &w, const Operand &operand, unsigned lane,
                               uint64_t bits) {
  if (operand.kind == Operand::Wide)
    w.wide(operand)[lane] = bits;
  else
    w.word(operand)[lane] = (uint32_t)bits;
}

/// The conversions that are not frequent, one lane after the other.
template <typename Function>
EMULATED_INLINE void eachLane(Lanes &w, const Instruction &x, uint32_t mask,
                              Function function) {
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    writeLane(w, x.results[0], lane,
              function(readLane(w, x.operands[0], lane)));
  }
}

void floatToFloat(Lanes &w, const Instruction &x, uint32_t mask) {
  auto rounding = Rounding(x.flags >> kRoundingShift & 7);
  eachLane(w, x, mask, [&](uint64_t bits) {
    double value = readFloat(x.source, bits);
    if (x.flags & kToIntegral)
      value = roundIntegral(value, rounding);
    return writeFloat(x.type, value, rounding, x.flags);
  });
}

/// Two values into the halves of a register: the first one is the high half.
void floatToPacked(Lanes &w, const Instruction &x, uint32_t mask) {
  auto rounding = Rounding(x.flags >> kRoundingShift & 7);
  Format format = getFormat(x.type);
  unsigned bits = 4 * sizeOf(x.type);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    uint32_t word = 0;
    for (unsigned i = 0; i < 2; ++i) {
      double value;
      if (x.numOperands == 2) {
        value = readFloat(x.source, readLane(w, x.operands[1 - i], lane));
      } else { // From a packed pair of halves.
        uint32_t pair = w.word(x.operands[0])[lane] >> 16 * i;
        value = x.source == Type::F16x2 ? (double)F16::get(pair)
                                        : (double)BF16::get(pair & 0xffff);
      }
      if (x.flags & kRelu)
        value = value < 0 ? 0 : value;
      word |= encode(value, format, rounding, x.flags & kSaturateFinite)
              << (bits * i);
    }
    w.word(x.results[0])[lane] = word;
  }
}

/// e4m3x2 and e5m2x2 to f16x2.
void packedToHalves(Lanes &w, const Instruction &x, uint32_t mask) {
  Type element = x.source == Type::E4M3x2 ? Type::E4M3 : Type::E5M2;
  eachLane(w, x, mask, [&](uint64_t bits) -> uint64_t {
    uint32_t word = 0;
    for (unsigned i = 0; i < 2; ++i) {
      double value = readFloat(element, bits >> 8 * i);
      if (x.flags & kRelu)
        value = value < 0 ? 0 : value;
      word |= encode(value, kHalf, Rounding::Nearest, false) << 16 * i;
    }
    return word;
  });
}

struct IntegerRange {
  double least, beyond;
  int64_t minimum;
  uint64_t maximum;
};
IntegerRange getRange(Type type) {
  unsigned bits = 8 * sizeOf(type);
  if (isSigned(type))
    return {-ldexp(1.0, bits - 1), ldexp(1.0, bits - 1),
            (int64_t)(~0ull << (bits - 1)), ~0ull >> (65 - bits)};
  return {0, ldexp(1.0, bits), 0, ~0ull >> (64 - bits)};
}

/// NaN becomes zero; values out of range the nearest end.
void floatToInteger(Lanes &w, const Instruction &x, uint32_t mask) {
  auto rounding = Rounding(x.flags >> kRoundingShift & 7);
  IntegerRange range = getRange(x.type);
  eachLane(w, x, mask, [&](uint64_t bits) -> uint64_t {
    double value = roundIntegral(readFloat(x.source, bits), rounding);
    if (value != value)
      return 0;
    if (value < range.least)
      return range.minimum;
    if (value >= range.beyond)
      return range.maximum;
    return isSigned(x.type) ? (uint64_t)(int64_t)value : (uint64_t)value;
  });
}

int64_t extend(Type type, uint64_t bits) {
  switch (type) {
  case Type::S8:
    return (int8_t)bits;
  case Type::B8:
  case Type::U8:
    return (uint8_t)bits;
  case Type::S16:
    return (int16_t)bits;
  case Type::B16:
  case Type::U16:
    return (uint16_t)bits;
  case Type::S32:
    return (int32_t)bits;
  case Type::B32:
  case Type::U32:
    return (uint32_t)bits;
  default:
    return bits;
  }
}

void integerToFloat(Lanes &w, const Instruction &x, uint32_t mask) {
  auto rounding = Rounding(x.flags >> kRoundingShift & 7);
  bool isUnsigned64 = x.source == Type::U64;
  eachLane(w, x, mask, [&](uint64_t bits) -> uint64_t {
    int64_t value = extend(x.source, bits);
    if (x.type == Type::F32)
      return F32::put(isUnsigned64 ? (float)bits : (float)value);
    double wide = isUnsigned64 ? (double)bits : (double)value;
    return writeFloat(x.type, wide, rounding, x.flags);
  });
}

/// cvt.sat between integers clamps; without it, the low bits are taken.
void integerSaturating(Lanes &w, const Instruction &x, uint32_t mask) {
  IntegerRange range = getRange(x.type);
  bool isUnsigned64 = x.source == Type::U64;
  eachLane(w, x, mask, [&](uint64_t bits) -> uint64_t {
    int64_t value = extend(x.source, bits);
    if (isUnsigned64 || value >= 0)
      return (uint64_t)value > range.maximum ? range.maximum : (uint64_t)value;
    return value < range.minimum ? range.minimum : (uint64_t)value;
  });
}

// Frequent conversions, as vector code.
template <typename To, typename From>
void cast(Lanes &w, const Instruction &x, uint32_t mask) {
  using R = typename To::Register;
  map1<R, typename From::Register>(w, x, mask, [](typename From::Register a) {
    return To::put((typename To::Value)From::get(a));
  });
}
/// To a narrower integer: the result must not keep the high bits, since a
/// wider register may hold it.
template <typename To, typename From>
void truncate(Lanes &w, const Instruction &x, uint32_t mask) {
  map1<uint32_t, typename From::Register>(
      w, x, mask,
      [](typename From::Register a) { return (uint32_t)To::get((uint32_t)a); });
}

void floatToS32(Lanes &w, const Instruction &x, uint32_t mask) {
  map1<uint32_t, uint32_t>(w, x, mask, [](uint32_t bits) -> uint32_t {
    float value = bitCast<float>(bits);
    float inside = value < 0x1p31f && value >= -0x1p31f ? value : 0.0f;
    uint32_t outside = value >= 0x1p31f ? 0x7fffffffu : 0x80000000u;
    bool isOutside = value >= 0x1p31f || value < -0x1p31f;
    return isOutside ? outside : (uint32_t)(int32_t)inside;
  });
}

template <typename T>
void floatsToPacked(Lanes &w, const Instruction &x, uint32_t mask) {
  map2<uint32_t, uint32_t, uint32_t>(
      w, x, mask, [](uint32_t high, uint32_t low) {
        return T::put(F32::get(high)) << 16 | (T::put(F32::get(low)) & 0xffff);
      });
}

template <typename T, typename Op>
void integral(Lanes &w, const Instruction &x, uint32_t mask) {
  unary<T, Op>(w, x, mask);
}
struct RoundEven {
  static EMULATED_INLINE float apply(float a) {
    return __builtin_roundevenf(a);
  }
};
struct Truncate {
  static EMULATED_INLINE float apply(float a) { return __builtin_truncf(a); }
};
struct Floor {
  static EMULATED_INLINE float apply(float a) { return __builtin_floorf(a); }
};
struct Ceil {
  static EMULATED_INLINE float apply(float a) { return __builtin_ceilf(a); }
};

template <typename From> Handler selectIntegerCast(Type to) {
  switch (to) {
  case Type::B8:
  case Type::U8:
    return truncate<U8, From>;
  case Type::S8:
    return truncate<S8, From>;
  case Type::B16:
  case Type::U16:
    return truncate<U16, From>;
  case Type::S16:
    return truncate<S16, From>;
  case Type::B32:
  case Type::U32:
  case Type::S32:
    return cast<U32, From>;
  default:
    return cast<S64, From>;
  }
}

Handler selectIntegers(const VectorKey &key) {
  if (key.flags & kSaturate)
    return integerSaturating;
  switch (key.source) {
  case Type::B8:
  case Type::U8:
    return selectIntegerCast<U8>(key.type);
  case Type::S8:
    return selectIntegerCast<S8>(key.type);
  case Type::B16:
  case Type::U16:
    return selectIntegerCast<U16>(key.type);
  case Type::S16:
    return selectIntegerCast<S16>(key.type);
  case Type::B32:
  case Type::U32:
    return selectIntegerCast<U32>(key.type);
  case Type::S32:
    return selectIntegerCast<S32>(key.type);
  default:
    return selectIntegerCast<U64>(key.type);
  }
}

/// Conversions of f32 and halves that are worth vector code; null if this is
/// none of them.
Handler selectFrequent(const VectorKey &key) {
  auto rounding = Rounding(key.flags >> kRoundingShift & 7);
  uint32_t modifiers = key.flags & 0xffff;
  if (modifiers == kToIntegral && key.type == Type::F32 &&
      key.source == Type::F32)
    return rounding == Rounding::Zero   ? integral<F32, Truncate>
           : rounding == Rounding::Down ? integral<F32, Floor>
           : rounding == Rounding::Up   ? integral<F32, Ceil>
                                        : integral<F32, RoundEven>;
  if (key.type == Type::S32 && key.source == Type::F32 &&
      rounding == Rounding::Zero)
    return floatToS32;
  if (modifiers || rounding != Rounding::Nearest)
    return nullptr;
  switch (key.type) {
  case Type::F32:
    return key.source == Type::F16    ? cast<F32, F16>
           : key.source == Type::BF16 ? cast<F32, BF16>
           : key.source == Type::S32  ? cast<F32, S32>
           : key.source == Type::U32  ? cast<F32, U32>
           : key.source == Type::F64  ? cast<F32, F64>
                                      : nullptr;
  case Type::F64:
    return key.source == Type::F32 ? cast<F64, F32> : nullptr;
  case Type::F16:
    return key.source == Type::F32 ? cast<F16, F32> : nullptr;
  case Type::BF16:
    return key.source == Type::F32 ? cast<BF16, F32> : nullptr;
  case Type::F16x2:
    return key.source == Type::F32 ? floatsToPacked<F16> : nullptr;
  case Type::BF16x2:
    return key.source == Type::F32 ? floatsToPacked<BF16> : nullptr;
  default:
    return nullptr;
  }
}

} // namespace

Handler MOE_VECTOR_ISA::selectConvert(const VectorKey &key) {
  if (key.operation != Operation::Convert)
    return nullptr;
  if (Handler handler = selectFrequent(key))
    return handler;
  switch (key.type) {
  case Type::F16x2:
    if (key.source == Type::E4M3x2 || key.source == Type::E5M2x2)
      return packedToHalves;
    return floatToPacked;
  case Type::BF16x2:
  case Type::E4M3x2:
  case Type::E5M2x2:
    return floatToPacked;
  default:
    break;
  }
  bool fromFloat = isFloat(key.source), toFloat = isFloat(key.type);
  return fromFloat ? toFloat ? floatToFloat : floatToInteger
         : toFloat ? integerToFloat
                   : selectIntegers(key);
}
