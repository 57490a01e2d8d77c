//===- Functions.cpp - elementary functions on lanes ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/vector/Lanes.h"

#include <math.h>

using namespace emulated;

namespace {

struct Reciprocal {
  template <typename V> static EMULATED_INLINE V apply(V a) { return V(1) / a; }
};
struct SquareRoot {
  static EMULATED_INLINE float apply(float a) { return __builtin_sqrtf(a); }
  static EMULATED_INLINE double apply(double a) { return __builtin_sqrt(a); }
};
struct ReciprocalSquareRoot {
  static EMULATED_INLINE float apply(float a) {
    // In double: the result is the float next to the exact one.
    return (float)(1.0 / __builtin_sqrt((double)a));
  }
  static EMULATED_INLINE double apply(double a) {
    return 1.0 / __builtin_sqrt(a);
  }
};

/// 2^a to 1 ulp, without calls: 2^n times a polynomial for 2^f, |f| <= 1/2,
/// whose coefficients are those of the exponential series (ln 2)^k / k!; the
/// first term left out is below 2^-26.
struct Exp2 {
  static EMULATED_INLINE float apply(float a) {
    float clamped = a < -160.0f ? -160.0f : a > 160.0f ? 160.0f : a;
    // Adding 1.5 * 2^23 leaves the nearest integer in the last digits.
    float shifted = clamped + 12582912.0f;
    float whole = shifted - 12582912.0f;
    float f = clamped - whole;
    float p = 1.5252734e-5f;
    p = p * f + 1.5403530e-4f;
    p = p * f + 1.3333558e-3f;
    p = p * f + 9.6181291e-3f;
    p = p * f + 5.5504109e-2f;
    p = p * f + 2.4022651e-1f;
    p = p * f + 6.9314718e-1f;
    p = p * f + 1.0f;
    // Two factors: 2^n alone may be out of range.
    int32_t n = (int32_t)bitCast<uint32_t>(shifted) - 0x4b400000;
    int32_t half = n >> 1;
    float first = bitCast<float>((uint32_t)(half + 127) << 23);
    float second = bitCast<float>((uint32_t)(n - half + 127) << 23);
    float result = p * first * second;
    return a != a ? a : result;
  }
};

/// log2(a) with an error below 2^-22: the exponent plus a series in
/// s = (m - 1) / (m + 1) for the mantissa m in [0.7, 1.4].
struct Log2 {
  static EMULATED_INLINE float apply(float a) {
    bool isTiny = a < 0x1p-126f;
    float scaled = isTiny ? a * 0x1p24f : a;
    uint32_t bits = bitCast<uint32_t>(scaled);
    // The mantissa's digits at or above sqrt(1/2) choose the exponent.
    uint32_t rebased = bits + (0x3f800000u - 0x3f3504f3u);
    int32_t exponent = (int32_t)(rebased >> 23) - 127;
    float m = bitCast<float>((rebased & 0x7fffff) + 0x3f3504f3u);
    float s = (m - 1.0f) / (m + 1.0f), t = s * s;
    float p = 0.32059899f; // 2 / (9 ln 2)
    p = p * t + 0.41219859f;
    p = p * t + 0.57707802f;
    p = p * t + 0.96179670f;
    p = p * t + 2.8853901f;
    float result = p * s + (float)(exponent - (isTiny ? 24 : 0));
    result = a == bitCast<float>(0x7f800000u) ? a : result;
    result = a == 0.0f ? -bitCast<float>(0x7f800000u) : result;
    return a < 0.0f || a != a ? bitCast<float>(0x7fffffffu) : result;
  }
};
struct Sine {
  static EMULATED_INLINE float apply(float a) { return sinf(a); }
};
struct Cosine {
  static EMULATED_INLINE float apply(float a) { return cosf(a); }
};
struct Tanh {
  static EMULATED_INLINE float apply(float a) { return tanhf(a); }
};

template <typename T, typename Op>
void packedUnary(Lanes &w, const Instruction &x, uint32_t mask) {
  map1<uint32_t, uint32_t>(w, x, mask, [](uint32_t a) -> uint32_t {
    uint32_t low = T::put(Op::apply(T::get(a & 0xffff))) & 0xffff;
    return T::put(Op::apply(T::get(a >> 16))) << 16 | low;
  });
}

template <typename Op> Handler unaryOf(Type type) {
  switch (type) {
  case Type::F32:
    return unary<F32, Op>;
  case Type::F16:
    return unary<F16, Op>;
  case Type::BF16:
    return unary<BF16, Op>;
  case Type::F16x2:
    return packedUnary<F16, Op>;
  case Type::BF16x2:
    return packedUnary<BF16, Op>;
  default:
    return nullptr;
  }
}

} // namespace

Handler MOE_VECTOR_ISA::selectFunction(const VectorKey &key) {
  bool isDouble = key.type == Type::F64;
  switch (key.operation) {
  case Operation::Reciprocal:
    return isDouble ? unary<F64, Reciprocal> : unaryOf<Reciprocal>(key.type);
  case Operation::SquareRoot:
    return isDouble ? unary<F64, SquareRoot> : unaryOf<SquareRoot>(key.type);
  case Operation::ReciprocalSquareRoot:
    return isDouble ? unary<F64, ReciprocalSquareRoot>
                    : unaryOf<ReciprocalSquareRoot>(key.type);
  case Operation::Exp2:
    return unaryOf<Exp2>(key.type);
  case Operation::Log2:
    return unaryOf<Log2>(key.type);
  case Operation::Sine:
    return unaryOf<Sine>(key.type);
  case Operation::Cosine:
    return unaryOf<Cosine>(key.type);
  case Operation::Tanh:
    return unaryOf<Tanh>(key.type);
  default:
    return nullptr;
  }
}
