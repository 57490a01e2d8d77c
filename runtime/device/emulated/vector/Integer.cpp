//===- Integer.cpp - integer arithmetic on lanes --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/vector/Lanes.h"

using namespace emulated;

namespace {

// Sums and products are the same for signed and unsigned operands; in unsigned
// arithmetic they wrap.
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
struct MulLow {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a * b;
  }
};
struct MadLow {
  template <typename V> static EMULATED_INLINE V apply(V a, V b, V c) {
    return a * b + c;
  }
};
/// Division by zero gives all ones, as the hardware does; the quotient of the
/// least number and -1 wraps.
struct Div {
  static EMULATED_INLINE uint32_t apply(uint32_t a, uint32_t b) {
    return b ? a / b : ~0u;
  }
  static EMULATED_INLINE uint64_t apply(uint64_t a, uint64_t b) {
    return b ? a / b : ~0ull;
  }
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return b == 0 ? V(-1) : b == -1 ? V(0 - (uint64_t)a) : V(a / b);
  }
};
struct Rem {
  static EMULATED_INLINE uint32_t apply(uint32_t a, uint32_t b) {
    return b ? a % b : a;
  }
  static EMULATED_INLINE uint64_t apply(uint64_t a, uint64_t b) {
    return b ? a % b : a;
  }
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return b == 0 ? a : b == -1 ? V(0) : V(a % b);
  }
};
struct Min {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a < b ? a : b;
  }
};
struct Max {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a > b ? a : b;
  }
};
struct Abs {
  template <typename V> static EMULATED_INLINE V apply(V a) {
    return a < 0 ? V(0 - (uint64_t)a) : a;
  }
};
struct Neg {
  template <typename V> static EMULATED_INLINE V apply(V a) {
    return V(0 - (uint64_t)a);
  }
};
struct MulHigh {
  static EMULATED_INLINE uint32_t apply(uint32_t a, uint32_t b) {
    return (uint64_t)a * b >> 32;
  }
  static EMULATED_INLINE int32_t apply(int32_t a, int32_t b) {
    return (int64_t)a * b >> 32;
  }
  static EMULATED_INLINE uint64_t apply(uint64_t a, uint64_t b) {
    return (unsigned __int128)a * b >> 64;
  }
  static EMULATED_INLINE int64_t apply(int64_t a, int64_t b) {
    return (__int128)a * b >> 64;
  }
};
struct MulHigh16 {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a * b >> 16;
  }
};
struct MadHigh {
  template <typename V> static EMULATED_INLINE V apply(V a, V b, V c) {
    return V((uint64_t)MulHigh::apply(a, b) + (uint64_t)c);
  }
};
struct Sad {
  template <typename V> static EMULATED_INLINE V apply(V a, V b, V c) {
    return V((uint64_t)c +
             (a < b ? (uint64_t)b - (uint64_t)a : (uint64_t)a - (uint64_t)b));
  }
};

EMULATED_INLINE int32_t clampToS32(int64_t value) {
  return value > INT32_MAX ? INT32_MAX : value < INT32_MIN ? INT32_MIN : value;
}
struct AddSaturate {
  static EMULATED_INLINE int32_t apply(int32_t a, int32_t b) {
    return clampToS32((int64_t)a + b);
  }
};
struct SubSaturate {
  static EMULATED_INLINE int32_t apply(int32_t a, int32_t b) {
    return clampToS32((int64_t)a - b);
  }
};
/// Products of the low 24 bits.
struct Mul24 {
  static EMULATED_INLINE uint32_t apply(uint32_t a, uint32_t b) {
    return (a & 0xffffff) * (b & 0xffffff);
  }
  static EMULATED_INLINE int32_t apply(int32_t a, int32_t b) {
    return (uint32_t)(a << 8 >> 8) * (uint32_t)(b << 8 >> 8);
  }
};
struct Mad24 {
  template <typename V> static EMULATED_INLINE V apply(V a, V b, V c) {
    return V((uint32_t)Mul24::apply(a, b) + (uint32_t)c);
  }
};

/// The product has twice the digits of the factors.
template <typename T, typename To, bool kAccumulate>
void multiplyWide(Lanes &w, const Instruction &x, uint32_t mask) {
  using V = typename T::Value;
  using Wide = typename To::Value;
  using R = typename To::Register;
  auto product = [](uint32_t a, uint32_t b) {
    return R((Wide)(V)T::get(a) * (Wide)(V)T::get(b));
  };
  if constexpr (kAccumulate)
    map3<R, uint32_t, uint32_t, R>(
        w, x, mask,
        [=](uint32_t a, uint32_t b, R c) { return R(product(a, b) + c); });
  else
    map2<R, uint32_t, uint32_t>(w, x, mask, product);
}

/// dp4a and dp2a: bits 0 and 1 of the count tell which operands are signed;
/// bit 2 takes the high half of the second one.
void dotFour(Lanes &w, const Instruction &x, uint32_t mask) {
  bool isASigned = x.count & 1, isBSigned = x.count & 2;
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(
      w, x, mask, [=](uint32_t a, uint32_t b, uint32_t c) {
        for (unsigned i = 0; i < 32; i += 8) {
          int32_t p = isASigned ? (int8_t)(a >> i) : (uint8_t)(a >> i);
          int32_t q = isBSigned ? (int8_t)(b >> i) : (uint8_t)(b >> i);
          c += p * q;
        }
        return c;
      });
}

void dotTwo(Lanes &w, const Instruction &x, uint32_t mask) {
  bool isASigned = x.count & 1, isBSigned = x.count & 2;
  unsigned shift = x.count & 4 ? 16 : 0;
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(
      w, x, mask, [=](uint32_t a, uint32_t b, uint32_t c) {
        for (unsigned i = 0; i < 2; ++i) {
          int32_t p =
              isASigned ? (int16_t)(a >> 16 * i) : (uint16_t)(a >> 16 * i);
          uint32_t byte = b >> (shift + 8 * i);
          int32_t q = isBSigned ? (int8_t)byte : (uint8_t)byte;
          c += p * q;
        }
        return c;
      });
}

/// a + b, a - b and a * b + c with carries; the carry of a subtraction is a
/// borrow.
template <typename R, typename Wide, Operation kOperation>
void carried(Lanes &w, const Instruction &x, uint32_t mask) {
  constexpr bool kIsMad = kOperation == Operation::MadLowCarry ||
                          kOperation == Operation::MadHighCarry;
  const R *a = getRegister<R>(w, x.operands[0]);
  const R *b = getRegister<R>(w, x.operands[1]);
  const R *c = kIsMad ? getRegister<R>(w, x.operands[2]) : b;
  uint32_t carryIn =
      x.flags & kCarryIn ? w.predicate(x.operands[x.numOperands - 1]) : 0;
  R values[kWarpSize];
  uint32_t carryOut = 0;
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    Wide sum, in = carryIn >> lane & 1;
    if (kOperation == Operation::AddCarry)
      sum = (Wide)a[lane] + b[lane] + in;
    else if (kOperation == Operation::SubCarry)
      sum = (Wide)a[lane] - b[lane] - in;
    else if (kOperation == Operation::MadLowCarry)
      sum = (Wide)(R)((Wide)a[lane] * b[lane]) + c[lane] + in;
    else if (isSigned(x.type))
      sum = (Wide)(R)((Wide)((__int128)(int64_t)(sizeof(R) == 4
                                                     ? (int64_t)(int32_t)a[lane]
                                                     : (int64_t)a[lane]) *
                                 (sizeof(R) == 4 ? (int64_t)(int32_t)b[lane]
                                                 : (int64_t)b[lane]) >>
                             8 * sizeof(R))) +
            c[lane] + in;
    else
      sum = (Wide)(R)((Wide)a[lane] * b[lane] >> 8 * sizeof(R)) + c[lane] + in;
    values[lane] = (R)sum;
    carryOut |= (uint32_t)(sum >> 8 * sizeof(R) & 1) << lane;
  }
  store(getRegister<R>(w, x.results[0]), values, mask);
  if (x.flags & kCarryOut)
    w.setPredicate(x.results[x.numResults - 1], carryOut, mask);
}

template <typename Op> Handler bySign(Type type) {
  switch (type) {
  case Type::S16:
    return binary<S16, Op>;
  case Type::U16:
  case Type::B16:
    return binary<U16, Op>;
  case Type::S32:
    return binary<S32, Op>;
  case Type::U32:
  case Type::B32:
    return binary<U32, Op>;
  case Type::S64:
    return binary<S64, Op>;
  case Type::U64:
  case Type::B64:
    return binary<U64, Op>;
  default:
    return nullptr;
  }
}

template <typename Op> Handler bySize(Type type) {
  if (isFloat(type))
    return nullptr;
  return sizeOf(type) == 8   ? binary<U64, Op>
         : sizeOf(type) == 4 ? binary<U32, Op>
         : sizeOf(type) == 2 ? binary<U16, Op>
                             : nullptr;
}

template <Operation kOperation> Handler selectCarried(Type type) {
  return sizeOf(type) == 8 ? carried<uint64_t, unsigned __int128, kOperation>
                           : carried<uint32_t, uint64_t, kOperation>;
}

template <bool kAccumulate> Handler selectWide(Type type) {
  switch (type) {
  case Type::U16:
    return multiplyWide<U16, U32, kAccumulate>;
  case Type::S16:
    return multiplyWide<S16, S32, kAccumulate>;
  case Type::U32:
    return multiplyWide<U32, U64, kAccumulate>;
  case Type::S32:
    return multiplyWide<S32, S64, kAccumulate>;
  default:
    return nullptr;
  }
}

} // namespace

Handler MOE_VECTOR_ISA::selectInteger(const VectorKey &key) {
  Type type = key.type;
  bool isSaturating = key.flags & kSaturate;
  bool isWide = sizeOf(type) == 8, isSignedType = isSigned(type);
  switch (key.operation) {
  case Operation::Add:
    return isSaturating ? binary<S32, AddSaturate> : bySize<Add>(type);
  case Operation::Sub:
    return isSaturating ? binary<S32, SubSaturate> : bySize<Sub>(type);
  case Operation::MulLow:
    return bySize<MulLow>(type);
  case Operation::MulHigh:
    if (type == Type::U16)
      return binary<U16, MulHigh16>;
    if (type == Type::S16)
      return binary<S16, MulHigh16>;
    return bySign<MulHigh>(type);
  case Operation::MulWide:
    return selectWide<false>(type);
  case Operation::MadWide:
    return selectWide<true>(type);
  case Operation::MadLow:
    return isWide ? ternary<U64, MadLow> : ternary<U32, MadLow>;
  case Operation::MadHigh:
    if (sizeOf(type) == 2)
      return nullptr;
    return isWide ? isSignedType ? ternary<S64, MadHigh> : ternary<U64, MadHigh>
           : isSignedType ? ternary<S32, MadHigh>
                          : ternary<U32, MadHigh>;
  case Operation::Mul24:
    return isSignedType ? binary<S32, Mul24> : binary<U32, Mul24>;
  case Operation::Mad24:
    return isSignedType ? ternary<S32, Mad24> : ternary<U32, Mad24>;
  case Operation::Sad:
    return isWide ? isSignedType ? ternary<S64, Sad> : ternary<U64, Sad>
           : sizeOf(type) == 2
               ? isSignedType ? ternary<S16, Sad> : ternary<U16, Sad>
           : isSignedType ? ternary<S32, Sad>
                          : ternary<U32, Sad>;
  case Operation::Div:
    return bySign<Div>(type);
  case Operation::Rem:
    return bySign<Rem>(type);
  case Operation::Min:
    return bySign<Min>(type);
  case Operation::Max:
    return bySign<Max>(type);
  case Operation::Abs:
    return type == Type::S64   ? unary<S64, Abs>
           : type == Type::S32 ? unary<S32, Abs>
           : type == Type::S16 ? unary<S16, Abs>
                               : nullptr;
  case Operation::Neg:
    return type == Type::S64   ? unary<S64, Neg>
           : type == Type::S32 ? unary<S32, Neg>
           : type == Type::S16 ? unary<S16, Neg>
                               : nullptr;
  case Operation::DotFour:
    return dotFour;
  case Operation::DotTwo:
    return dotTwo;
  case Operation::AddCarry:
    return selectCarried<Operation::AddCarry>(type);
  case Operation::SubCarry:
    return selectCarried<Operation::SubCarry>(type);
  case Operation::MadLowCarry:
    return selectCarried<Operation::MadLowCarry>(type);
  case Operation::MadHighCarry:
    return selectCarried<Operation::MadHighCarry>(type);
  default:
    return nullptr;
  }
}
