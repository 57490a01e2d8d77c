//===- Float.cpp - floating point arithmetic on lanes ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/vector/Lanes.h"

#include <type_traits>

using namespace emulated;

namespace {

template <typename V> EMULATED_INLINE bool isNaN(V v) { return v != v; }

EMULATED_INLINE bool hasSign(float v) { return bitCast<uint32_t>(v) >> 31; }
EMULATED_INLINE bool hasSign(double v) { return bitCast<uint64_t>(v) >> 63; }

struct Add {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a + b;
  }
};
struct Sub {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a - b;
  }
};
struct Mul {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a * b;
  }
};
struct Div {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a / b;
  }
};
struct Fma {
  static EMULATED_INLINE float apply(float a, float b, float c) {
    return __builtin_fmaf(a, b, c);
  }
  static EMULATED_INLINE double apply(double a, double b, double c) {
    return __builtin_fma(a, b, c);
  }
};
/// For halves: the product is exact in double.
struct FmaOfHalves {
  static EMULATED_INLINE float apply(float a, float b, float c) {
    return toOddFloat((double)a * b + c);
  }
};
/// The other operand if one is NaN; +0 is greater than -0.
struct Min {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    V least = a < b || (a == b && hasSign(a)) ? a : b;
    return isNaN(b) ? a : least;
  }
};
struct Max {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    V greatest = a > b || (a == b && !hasSign(a)) ? a : b;
    return isNaN(b) ? a : greatest;
  }
};
template <typename Op> struct WithNaN {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    V result = Op::apply(a, b);
    return isNaN(a) || isNaN(b) ? V(__builtin_nan("")) : result;
  }
};
template <typename Op> struct WithXorSign {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    V result = Op::apply(a < 0 ? -a : a, b < 0 ? -b : b);
    result = result < 0 ? -result : result;
    return hasSign(a) != hasSign(b) ? -result : result;
  }
};
struct Abs {
  static EMULATED_INLINE float apply(float a) {
    return bitCast<float>(bitCast<uint32_t>(a) & 0x7fffffffu);
  }
  static EMULATED_INLINE double apply(double a) {
    return bitCast<double>(bitCast<uint64_t>(a) & ~(1ull << 63));
  }
};
struct Neg {
  template <typename V> static EMULATED_INLINE V apply(V a) { return -a; }
};
struct CopySign {
  // The sign of the first operand, the magnitude of the second.
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    V magnitude = Abs::apply(b);
    return hasSign(a) ? -magnitude : magnitude;
  }
};
template <typename Op> struct Saturated {
  template <typename V, typename... Rest>
  static EMULATED_INLINE V apply(V a, Rest... rest) {
    V r = Op::apply(a, rest...);
    return r > V(0) ? r < V(1) ? r : V(1) : V(0);
  }
};
template <typename Op> struct Rectified {
  template <typename V, typename... Rest>
  static EMULATED_INLINE V apply(V a, Rest... rest) {
    V r = Op::apply(a, rest...);
    return r < V(0) ? V(0) : r;
  }
};

/// Sign bits of halves change without a conversion, which keeps NaNs.
template <bool kIsPacked, bool kIsNeg>
void changeSign16(Lanes &w, const Instruction &x, uint32_t mask) {
  constexpr uint32_t kSigns = kIsPacked ? 0x80008000u : 0x8000u;
  map1<uint32_t, uint32_t>(
      w, x, mask, [](uint32_t a) { return kIsNeg ? a ^ kSigns : a & ~kSigns; });
}

template <typename T, typename Op, typename... Bits>
EMULATED_INLINE uint32_t onHalves(Bits... bits) {
  uint32_t low = T::put(Op::apply(T::get(bits & 0xffff)...)) & 0xffff;
  uint32_t high = T::put(Op::apply(T::get(bits >> 16)...));
  return high << 16 | low;
}
template <typename T, typename Op>
void packedBinary(Lanes &w, const Instruction &x, uint32_t mask) {
  map2<uint32_t, uint32_t, uint32_t>(
      w, x, mask, [](uint32_t a, uint32_t b) { return onHalves<T, Op>(a, b); });
}
template <typename T, typename Op>
void packedTernary(Lanes &w, const Instruction &x, uint32_t mask) {
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(
      w, x, mask, [](uint32_t a, uint32_t b, uint32_t c) {
        return onHalves<T, Op>(a, b, c);
      });
}

/// Two floats in a register of 64 bits.
template <typename Op, typename... Bits>
EMULATED_INLINE uint64_t onFloats(Bits... bits) {
  uint32_t low = F32::put(Op::apply(F32::get((uint32_t)bits)...));
  uint32_t high = F32::put(Op::apply(F32::get((uint32_t)(bits >> 32))...));
  return (uint64_t)high << 32 | low;
}
template <typename Op>
void pairBinary(Lanes &w, const Instruction &x, uint32_t mask) {
  map2<uint64_t, uint64_t, uint64_t>(
      w, x, mask, [](uint64_t a, uint64_t b) { return onFloats<Op>(a, b); });
}
template <typename Op>
void pairTernary(Lanes &w, const Instruction &x, uint32_t mask) {
  map3<uint64_t, uint64_t, uint64_t, uint64_t>(
      w, x, mask,
      [](uint64_t a, uint64_t b, uint64_t c) { return onFloats<Op>(a, b, c); });
}

template <typename Op> Handler binaryOf(Type type) {
  switch (type) {
  case Type::F32:
    return binary<F32, Op>;
  case Type::F64:
    return binary<F64, Op>;
  case Type::F16:
    return binary<F16, Op>;
  case Type::BF16:
    return binary<BF16, Op>;
  case Type::F16x2:
    return packedBinary<F16, Op>;
  case Type::BF16x2:
    return packedBinary<BF16, Op>;
  case Type::F32x2:
    return pairBinary<Op>;
  default:
    return nullptr;
  }
}

template <typename Op> Handler saturatedBinary(const VectorKey &key) {
  return key.flags & kSaturate ? binaryOf<Saturated<Op>>(key.type)
                               : binaryOf<Op>(key.type);
}

template <typename Op> Handler minimumOf(const VectorKey &key) {
  if (key.flags & kXorSignAbs)
    return key.flags & kPropagateNaN
               ? binaryOf<WithNaN<WithXorSign<Op>>>(key.type)
               : binaryOf<WithXorSign<Op>>(key.type);
  return key.flags & kPropagateNaN ? binaryOf<WithNaN<Op>>(key.type)
                                   : binaryOf<Op>(key.type);
}

template <template <typename> class Wrap> Handler fmaOf(Type type) {
  switch (type) {
  case Type::F32:
    return ternary<F32, Wrap<Fma>>;
  case Type::F64:
    return ternary<F64, Wrap<Fma>>;
  case Type::F16:
    return ternary<F16, Wrap<FmaOfHalves>>;
  case Type::BF16:
    return ternary<BF16, Wrap<FmaOfHalves>>;
  case Type::F16x2:
    return packedTernary<F16, Wrap<FmaOfHalves>>;
  case Type::BF16x2:
    return packedTernary<BF16, Wrap<FmaOfHalves>>;
  case Type::F32x2:
    return pairTernary<Wrap<Fma>>;
  default:
    return nullptr;
  }
}
template <typename Op> struct Plain : Op {};

/// Halves with a sum in f32: all operands but the last one are halves.
template <typename T, typename Op>
void mixedBinary(Lanes &w, const Instruction &x, uint32_t mask) {
  map2<uint32_t, uint32_t, uint32_t>(w, x, mask, [](uint32_t a, uint32_t b) {
    return F32::put(Op::apply(T::get(a), F32::get(b)));
  });
}
template <typename T, typename Op>
void mixedTernary(Lanes &w, const Instruction &x, uint32_t mask) {
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(
      w, x, mask, [](uint32_t a, uint32_t b, uint32_t c) {
        return F32::put(Op::apply(T::get(a), T::get(b), F32::get(c)));
      });
}
template <template <typename> class Wrap, typename T>
Handler mixedOf(Operation operation) {
  switch (operation) {
  case Operation::Add:
    return mixedBinary<T, Wrap<Add>>;
  case Operation::Sub:
    return mixedBinary<T, Wrap<Sub>>;
  case Operation::Fma:
    return mixedTernary<T, Wrap<Fma>>;
  default:
    return nullptr;
  }
}
template <typename T> Handler mixedOf(const VectorKey &key) {
  if (key.type != Type::F32)
    return nullptr;
  return key.flags & kSaturate ? mixedOf<Saturated, T>(key.operation)
                               : mixedOf<Plain, T>(key.operation);
}

template <bool kIsNeg> Handler signOf(Type type) {
  using Op = std::conditional_t<kIsNeg, Neg, Abs>;
  switch (type) {
  case Type::F32:
    return unary<F32, Op>;
  case Type::F64:
    return unary<F64, Op>;
  case Type::F16:
  case Type::BF16:
    return changeSign16<false, kIsNeg>;
  case Type::F16x2:
  case Type::BF16x2:
    return changeSign16<true, kIsNeg>;
  default:
    return nullptr;
  }
}

} // namespace

Handler MOE_VECTOR_ISA::selectFloat(const VectorKey &key) {
  if (key.source == Type::F16)
    return mixedOf<F16>(key);
  if (key.source == Type::BF16)
    return mixedOf<BF16>(key);
  switch (key.operation) {
  case Operation::Add:
    return saturatedBinary<Add>(key);
  case Operation::Sub:
    return saturatedBinary<Sub>(key);
  case Operation::Mul:
    return saturatedBinary<Mul>(key);
  case Operation::Div:
    return binaryOf<Div>(key.type);
  case Operation::Min:
    return minimumOf<Min>(key);
  case Operation::Max:
    return minimumOf<Max>(key);
  case Operation::Fma:
    return key.flags & kSaturate ? fmaOf<Saturated>(key.type)
           : key.flags & kRelu   ? fmaOf<Rectified>(key.type)
                                 : fmaOf<Plain>(key.type);
  case Operation::Abs:
    return signOf<false>(key.type);
  case Operation::Neg:
    return signOf<true>(key.type);
  case Operation::CopySign:
    return key.type == Type::F64 ? binary<F64, CopySign>
                                 : binary<F32, CopySign>;
  default:
    return nullptr;
  }
}
