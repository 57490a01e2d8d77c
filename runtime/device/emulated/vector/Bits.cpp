//===- Bits.cpp - bit operations on lanes ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/vector/Lanes.h"

using namespace emulated;

namespace {

struct And {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a & b;
  }
};
struct Or {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a | b;
  }
};
struct Xor {
  template <typename V> static EMULATED_INLINE V apply(V a, V b) {
    return a ^ b;
  }
};
struct Not {
  template <typename V> static EMULATED_INLINE V apply(V a) { return ~a; }
};
struct LogicalNot {
  template <typename V> static EMULATED_INLINE V apply(V a) { return a == 0; }
};

template <typename Op>
void predicateLogic(Lanes &w, const Instruction &x, uint32_t mask) {
  w.setPredicate(
      x.results[0],
      Op::apply(w.predicate(x.operands[0]), w.predicate(x.operands[1])), mask);
}

void predicateNot(Lanes &w, const Instruction &x, uint32_t mask) {
  w.setPredicate(x.results[0], ~w.predicate(x.operands[0]), mask);
}

/// Shift amounts beyond the size give zero, or copies of the sign.
template <typename T, unsigned kBits>
void shiftLeft(Lanes &w, const Instruction &x, uint32_t mask) {
  using R = typename T::Register;
  map2<R, R, uint32_t>(w, x, mask, [](R a, uint32_t n) {
    return n >= kBits ? R(0) : R(T::get(a) << (n & (kBits - 1)));
  });
}

template <typename T, unsigned kBits, bool kIsSigned>
void shiftRight(Lanes &w, const Instruction &x, uint32_t mask) {
  using R = typename T::Register;
  map2<R, R, uint32_t>(w, x, mask, [](R a, uint32_t n) {
    if (kIsSigned)
      return R(T::get(a) >> (n < kBits ? n : kBits - 1));
    return n >= kBits ? R(0) : R(T::get(a) >> (n & (kBits - 1)));
  });
}

template <bool kIsLeft>
void funnel(Lanes &w, const Instruction &x, uint32_t mask) {
  bool isWrapping = x.flags & kWrap;
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(
      w, x, mask, [=](uint32_t low, uint32_t high, uint32_t n) -> uint32_t {
        uint64_t both = (uint64_t)high << 32 | low;
        n = isWrapping ? n & 31 : n < 32 ? n : 32;
        return kIsLeft ? both << n >> 32 : both >> n;
      });
}

void countWords(Lanes &w, const Instruction &x, uint32_t mask) {
  map1<uint32_t, uint32_t>(
      w, x, mask, [](uint32_t a) { return (uint32_t)__builtin_popcount(a); });
}
void countWide(Lanes &w, const Instruction &x, uint32_t mask) {
  map1<uint32_t, uint64_t>(
      w, x, mask, [](uint64_t a) { return (uint32_t)__builtin_popcountll(a); });
}
void leadingZerosOfWords(Lanes &w, const Instruction &x, uint32_t mask) {
  map1<uint32_t, uint32_t>(w, x, mask, [](uint32_t a) {
    return a ? (uint32_t)__builtin_clz(a) : 32u;
  });
}
void leadingZerosOfWide(Lanes &w, const Instruction &x, uint32_t mask) {
  map1<uint32_t, uint64_t>(w, x, mask, [](uint64_t a) {
    return a ? (uint32_t)__builtin_clzll(a) : 64u;
  });
}
struct Reverse {
  static EMULATED_INLINE uint32_t apply(uint32_t a) {
    return __builtin_bitreverse32(a);
  }
  static EMULATED_INLINE uint64_t apply(uint64_t a) {
    return __builtin_bitreverse64(a);
  }
};

/// The place of the highest bit that differs from the sign; ~0 if there is
/// none.
template <typename T>
void findLeading(Lanes &w, const Instruction &x, uint32_t mask) {
  using R = typename T::Register;
  constexpr unsigned kBits = 8 * sizeof(R);
  bool isSignedType = isSigned(x.type), isShiftAmount = x.flags & kShiftAmount;
  map1<uint32_t, R>(w, x, mask, [=](R a) -> uint32_t {
    if (isSignedType && a >> (kBits - 1))
      a = ~a;
    if (!a)
      return ~0u;
    unsigned zeros =
        kBits == 64 ? __builtin_clzll(a) : __builtin_clz((uint32_t)a);
    return isShiftAmount ? zeros : kBits - 1 - zeros;
  });
}

/// Fields that reach beyond the highest bit are filled with the sign (bfe).
template <typename R>
void extractField(Lanes &w, const Instruction &x, uint32_t mask) {
  constexpr unsigned kBits = 8 * sizeof(R);
  bool isSignedType = isSigned(x.type);
  map3<R, R, uint32_t, uint32_t>(
      w, x, mask, [=](R a, uint32_t position, uint32_t length) -> R {
        position &= 0xff;
        length &= 0xff;
        if (length == 0)
          return 0;
        unsigned top = position + length - 1;
        bool sign =
            isSignedType && (a >> (top < kBits - 1 ? top : kBits - 1) & 1);
        R value = position < kBits ? R(a >> position) : R(0);
        unsigned valid = position < kBits ? kBits - position : 0;
        unsigned kept = length < valid ? length : valid;
        R field = kept >= kBits ? ~R(0) : (R(1) << kept) - 1;
        return sign ? value | ~field : value & field;
      });
}

template <typename R>
void insertField(Lanes &w, const Instruction &x, uint32_t mask) {
  constexpr unsigned kBits = 8 * sizeof(R);
  const R *a = getRegister<R>(w, x.operands[0]);
  const R *b = getRegister<R>(w, x.operands[1]);
  const uint32_t *positions = w.word(x.operands[2]);
  const uint32_t *lengths = w.word(x.operands[3]);
  R values[kWarpSize];
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    unsigned position = positions[lane] & 0xff, length = lengths[lane] & 0xff;
    R field = length >= kBits ? ~R(0) : (R(1) << length) - 1;
    field = position < kBits ? R(field << position) : R(0);
    R shifted = position < kBits ? R(a[lane] << position) : R(0);
    values[lane] = (b[lane] & ~field) | (shifted & field);
  }
  store(getRegister<R>(w, x.results[0]), values, mask);
}

/// prmt in its default mode: each nibble chooses a byte; its top bit copies the
/// sign of that byte. `count` holds the other modes, 1 to 6.
EMULATED_INLINE uint32_t selectorOf(unsigned mode, uint32_t c) {
  c &= 3;
  switch (mode) {
  case 1: // f4e
    return 0x3210 + 0x1111 * c;
  case 2: // b4e
    return c == 0 ? 0x5670 : c == 1 ? 0x6701 : c == 2 ? 0x7012 : 0x0123;
  case 3: // rc8
    return 0x1111 * c;
  case 4: // ecl
    return c == 0 ? 0x3210 : c == 1 ? 0x3211 : c == 2 ? 0x3222 : 0x3333;
  case 5: // ecr
    return c == 0 ? 0x0000 : c == 1 ? 0x1110 : c == 2 ? 0x2210 : 0x3210;
  default: // rc16
    return c & 1 ? 0x3232 : 0x1010;
  }
}

void permute(Lanes &w, const Instruction &x, uint32_t mask) {
  unsigned mode = x.count;
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(
      w, x, mask, [=](uint32_t a, uint32_t b, uint32_t c) {
        if (mode)
          c = selectorOf(mode, c);
        uint64_t both = (uint64_t)b << 32 | a;
        uint32_t result = 0;
        for (unsigned i = 0; i < 4; ++i) {
          uint32_t selector = c >> (4 * i) & 0xf;
          uint32_t byte = both >> (8 * (selector & 7)) & 0xff;
          if (selector & 8)
            byte = byte & 0x80 ? 0xff : 0;
          result |= byte << (8 * i);
        }
        return result;
      });
}

/// The table in `immediate` holds the result for each combination of bits.
void logic3(Lanes &w, const Instruction &x, uint32_t mask) {
  uint32_t minterms[8];
  for (unsigned i = 0; i < 8; ++i)
    minterms[i] = x.immediate >> i & 1 ? ~0u : 0;
  map3<uint32_t, uint32_t, uint32_t, uint32_t>(
      w, x, mask, [=](uint32_t a, uint32_t b, uint32_t c) {
        return (minterms[0] & ~a & ~b & ~c) | (minterms[1] & ~a & ~b & c) |
               (minterms[2] & ~a & b & ~c) | (minterms[3] & ~a & b & c) |
               (minterms[4] & a & ~b & ~c) | (minterms[5] & a & ~b & c) |
               (minterms[6] & a & b & ~c) | (minterms[7] & a & b & c);
      });
}

void maskField(Lanes &w, const Instruction &x, uint32_t mask) {
  bool isWrapping = x.flags & kWrap;
  map2<uint32_t, uint32_t, uint32_t>(
      w, x, mask, [=](uint32_t position, uint32_t length) -> uint32_t {
        position = isWrapping ? position & 31 : position < 32 ? position : 32;
        length = isWrapping ? length & 31 : length < 32 ? length : 32;
        return (((uint64_t)1 << length) - 1) << position;
      });
}

void signExtend(Lanes &w, const Instruction &x, uint32_t mask) {
  bool isWrapping = x.flags & kWrap, isSignedType = isSigned(x.type);
  map2<uint32_t, uint32_t, uint32_t>(
      w, x, mask, [=](uint32_t a, uint32_t length) -> uint32_t {
        length = isWrapping ? length & 31 : length < 32 ? length : 32;
        if (length == 0)
          return 0;
        unsigned shift = 32 - length;
        return isSignedType ? (uint32_t)((int32_t)(a << shift) >> shift)
                            : a << shift >> shift;
      });
}

template <typename Op> Handler selectLogic(Type type) {
  return type == Type::Pred  ? predicateLogic<Op>
         : sizeOf(type) == 8 ? binary<U64, Op>
                             : binary<U32, Op>;
}

Handler selectShift(const VectorKey &key) {
  unsigned size = sizeOf(key.type);
  if (key.operation == Operation::ShiftLeft)
    return size == 8   ? shiftLeft<U64, 64>
           : size == 4 ? shiftLeft<U32, 32>
                       : shiftLeft<U16, 16>;
  if (isSigned(key.type))
    return size == 8   ? shiftRight<S64, 64, true>
           : size == 4 ? shiftRight<S32, 32, true>
                       : shiftRight<S16, 16, true>;
  return size == 8   ? shiftRight<U64, 64, false>
         : size == 4 ? shiftRight<U32, 32, false>
                     : shiftRight<U16, 16, false>;
}

} // namespace

Handler MOE_VECTOR_ISA::selectBits(const VectorKey &key) {
  bool isWide = sizeOf(key.type) == 8;
  switch (key.operation) {
  case Operation::And:
    return selectLogic<And>(key.type);
  case Operation::Or:
    return selectLogic<Or>(key.type);
  case Operation::Xor:
    return selectLogic<Xor>(key.type);
  case Operation::Not:
    return key.type == Type::Pred ? predicateNot
           : isWide               ? unary<U64, Not>
                                  : unary<U32, Not>;
  case Operation::LogicalNot:
    return isWide                  ? unary<U64, LogicalNot>
           : sizeOf(key.type) == 2 ? unary<U16, LogicalNot>
                                   : unary<U32, LogicalNot>;
  case Operation::ShiftLeft:
  case Operation::ShiftRight:
    return selectShift(key);
  case Operation::FunnelLeft:
    return funnel<true>;
  case Operation::FunnelRight:
    return funnel<false>;
  case Operation::PopulationCount:
    return isWide ? countWide : countWords;
  case Operation::CountLeadingZeros:
    return isWide ? leadingZerosOfWide : leadingZerosOfWords;
  case Operation::BitReverse:
    return isWide ? unary<U64, Reverse> : unary<U32, Reverse>;
  case Operation::FindLeading:
    return isWide ? findLeading<U64> : findLeading<U32>;
  case Operation::ExtractField:
    return isWide ? extractField<uint64_t> : extractField<uint32_t>;
  case Operation::InsertField:
    return isWide ? insertField<uint64_t> : insertField<uint32_t>;
  case Operation::Permute:
    return permute;
  case Operation::Logic3:
    return logic3;
  case Operation::MaskField:
    return maskField;
  case Operation::SignExtend:
    return signExtend;
  default:
    return nullptr;
  }
}
