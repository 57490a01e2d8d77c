//===- Lanes.h - loops over the lanes of a warp -----------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_VECTOR_LANES_H
#define RUNTIME_DEVICE_EMULATED_VECTOR_LANES_H

#include "runtime/device/emulated/vector/Numbers.h"
#include "runtime/device/emulated/vector/Operations.h"

namespace emulated {
// Internal linkage: each instruction set has its own copy.
namespace {

/// How a type reads and writes a register: `get` gives the value that the
/// arithmetic works on, `put` the bits.
template <typename R, typename V> struct IntegerLane {
  using Register = R;
  using Value = V;
  static constexpr bool kIsFloat = false;
  static EMULATED_INLINE Value get(Register bits) { return (Value)bits; }
  static EMULATED_INLINE Register put(Value value) { return (Register)value; }
};
struct U32 : IntegerLane<uint32_t, uint32_t> {};
struct S32 : IntegerLane<uint32_t, int32_t> {};
struct U64 : IntegerLane<uint64_t, uint64_t> {};
struct S64 : IntegerLane<uint64_t, int64_t> {};
struct U16 : IntegerLane<uint32_t, uint32_t> {
  static EMULATED_INLINE Value get(Register bits) { return bits & 0xffff; }
};
struct S16 : IntegerLane<uint32_t, int32_t> {
  static EMULATED_INLINE Value get(Register bits) { return (int16_t)bits; }
};
struct U8 : IntegerLane<uint32_t, uint32_t> {
  static EMULATED_INLINE Value get(Register bits) { return bits & 0xff; }
};
struct S8 : IntegerLane<uint32_t, int32_t> {
  static EMULATED_INLINE Value get(Register bits) { return (int8_t)bits; }
};

struct F32 {
  using Register = uint32_t;
  using Value = float;
  static constexpr bool kIsFloat = true;
  static EMULATED_INLINE float get(uint32_t bits) {
    return bitCast<float>(bits);
  }
  static EMULATED_INLINE uint32_t put(float value) {
    return bitCast<uint32_t>(value);
  }
};
struct F64 {
  using Register = uint64_t;
  using Value = double;
  static constexpr bool kIsFloat = true;
  static EMULATED_INLINE double get(uint64_t bits) {
    return bitCast<double>(bits);
  }
  static EMULATED_INLINE uint64_t put(double value) {
    return bitCast<uint64_t>(value);
  }
};
// Sums and products of two halves are exact or rounded once more than needed
// without harm in float, which has more than twice the digits.
struct F16 {
  using Register = uint32_t;
  using Value = float;
  static constexpr bool kIsFloat = true;
  static EMULATED_INLINE float get(uint32_t bits) {
    return halfToFloat(bits & 0xffff);
  }
  static EMULATED_INLINE uint32_t put(float value) {
    return floatToHalf(value);
  }
};
struct BF16 {
  using Register = uint32_t;
  using Value = float;
  static constexpr bool kIsFloat = true;
  static EMULATED_INLINE float get(uint32_t bits) {
    return bfloatToFloat(bits);
  }
  static EMULATED_INLINE uint32_t put(float value) {
    return floatToBfloat(value);
  }
};

template <typename R>
EMULATED_INLINE R *getRegister(Lanes &w, const Operand &o) {
  return reinterpret_cast<R *>(w.bank[o.bank] + o.offset);
}

/// Writes `values` to the lanes in `mask`.
template <typename R>
EMULATED_INLINE void store(R *to, const R *values, uint32_t mask) {
  if (mask == kAllLanes) {
    __builtin_memcpy(to, values, kWarpSize * sizeof(R));
    return;
  }
  for (unsigned lane = 0; lane < kWarpSize; ++lane)
    to[lane] = mask >> lane & 1 ? values[lane] : to[lane];
}

// The results go to a local array first, which cannot overlap the operands, so
// that the loops become vector code. All lanes are computed, active or not.
template <typename To, typename From, typename Function>
EMULATED_INLINE void map1(Lanes &w, const Instruction &x, uint32_t mask,
                          Function function) {
  alignas(64) To values[kWarpSize];
  const From *a = getRegister<From>(w, x.operands[0]);
  for (unsigned lane = 0; lane < kWarpSize; ++lane)
    values[lane] = function(a[lane]);
  store(getRegister<To>(w, x.results[0]), values, mask);
}

template <typename To, typename A, typename B, typename Function>
EMULATED_INLINE void map2(Lanes &w, const Instruction &x, uint32_t mask,
                          Function function) {
  alignas(64) To values[kWarpSize];
  const A *a = getRegister<A>(w, x.operands[0]);
  const B *b = getRegister<B>(w, x.operands[1]);
  for (unsigned lane = 0; lane < kWarpSize; ++lane)
    values[lane] = function(a[lane], b[lane]);
  store(getRegister<To>(w, x.results[0]), values, mask);
}

template <typename To, typename A, typename B, typename C, typename Function>
EMULATED_INLINE void map3(Lanes &w, const Instruction &x, uint32_t mask,
                          Function function) {
  alignas(64) To values[kWarpSize];
  const A *a = getRegister<A>(w, x.operands[0]);
  const B *b = getRegister<B>(w, x.operands[1]);
  const C *c = getRegister<C>(w, x.operands[2]);
  for (unsigned lane = 0; lane < kWarpSize; ++lane)
    values[lane] = function(a[lane], b[lane], c[lane]);
  store(getRegister<To>(w, x.results[0]), values, mask);
}

template <typename T, typename Op>
void unary(Lanes &w, const Instruction &x, uint32_t mask) {
  using R = typename T::Register;
  map1<R, R>(w, x, mask, [](R a) { return T::put(Op::apply(T::get(a))); });
}

template <typename T, typename Op>
void binary(Lanes &w, const Instruction &x, uint32_t mask) {
  using R = typename T::Register;
  map2<R, R, R>(w, x, mask, [](R a, R b) {
    return T::put(Op::apply(T::get(a), T::get(b)));
  });
}

template <typename T, typename Op>
void ternary(Lanes &w, const Instruction &x, uint32_t mask) {
  using R = typename T::Register;
  map3<R, R, R, R>(w, x, mask, [](R a, R b, R c) {
    return T::put(Op::apply(T::get(a), T::get(b), T::get(c)));
  });
}

} // namespace
} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_VECTOR_LANES_H
