//===- Compare.cpp - comparisons on lanes ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/vector/Lanes.h"

using namespace emulated;

namespace {

template <Comparison kComparison, typename V>
EMULATED_INLINE bool holds(V a, V b) {
  bool isUnordered = a != a || b != b;
  switch (kComparison) {
  case Comparison::Equal:
    return a == b;
  case Comparison::NotEqual:
    return !isUnordered && a != b;
  case Comparison::Less:
    return a < b;
  case Comparison::LessEqual:
    return a <= b;
  case Comparison::Greater:
    return a > b;
  case Comparison::GreaterEqual:
    return a >= b;
  case Comparison::EqualOrUnordered:
    return isUnordered || a == b;
  case Comparison::NotEqualOrUnordered:
    return isUnordered || a != b;
  case Comparison::LessOrUnordered:
    return isUnordered || a < b;
  case Comparison::LessEqualOrUnordered:
    return isUnordered || a <= b;
  case Comparison::GreaterOrUnordered:
    return isUnordered || a > b;
  case Comparison::GreaterEqualOrUnordered:
    return isUnordered || a >= b;
  case Comparison::Ordered:
    return !isUnordered;
  case Comparison::Unordered:
    return isUnordered;
  }
}

EMULATED_INLINE uint32_t combine(uint32_t flags, uint32_t lanes,
                                 uint32_t other) {
  switch (flags >> kCombineShift & 3) {
  case 1:
    return lanes & other;
  case 2:
    return lanes | other;
  case 3:
    return lanes ^ other;
  default:
    return lanes;
  }
}

template <typename T, Comparison kComparison>
EMULATED_INLINE uint32_t compareLanes(Lanes &w, const Instruction &x) {
  using R = typename T::Register;
  const R *a = getRegister<R>(w, x.operands[0]);
  const R *b = getRegister<R>(w, x.operands[1]);
  uint32_t lanes = 0;
  for (unsigned lane = 0; lane < kWarpSize; ++lane)
    lanes |= (uint32_t)holds<kComparison>(T::get(a[lane]), T::get(b[lane]))
             << lane;
  return lanes;
}

/// setp: the second result is the negation, combined in the same way.
template <typename T, Comparison kComparison>
void compare(Lanes &w, const Instruction &x, uint32_t mask) {
  uint32_t lanes = compareLanes<T, kComparison>(w, x);
  uint32_t other = x.numOperands > 2 ? w.predicate(x.operands[2]) : 0;
  if (x.results[0].kind != Operand::None)
    w.setPredicate(x.results[0], combine(x.flags, lanes, other), mask);
  if (x.numResults > 1 && x.results[1].kind != Operand::None)
    w.setPredicate(x.results[1], combine(x.flags, ~lanes, other), mask);
}

/// set: all ones or 1.0 where the comparison holds, else zero.
template <typename T, Comparison kComparison>
void compareToValue(Lanes &w, const Instruction &x, uint32_t mask) {
  uint32_t other = x.numOperands > 2 ? w.predicate(x.operands[2]) : 0;
  uint32_t lanes = combine(x.flags, compareLanes<T, kComparison>(w, x), other);
  uint32_t one = x.type == Type::F32    ? 0x3f800000u
                 : x.type == Type::F16  ? 0x3c00u
                 : x.type == Type::BF16 ? 0x3f80u
                                        : ~0u;
  uint32_t values[kWarpSize];
  for (unsigned lane = 0; lane < kWarpSize; ++lane)
    values[lane] = lanes >> lane & 1 ? one : 0;
  store(w.word(x.results[0]), values, mask);
}

/// setp.f16x2: a predicate for each half.
template <typename T, Comparison kComparison>
void comparePacked(Lanes &w, const Instruction &x, uint32_t mask) {
  const uint32_t *a = w.word(x.operands[0]), *b = w.word(x.operands[1]);
  uint32_t other = x.numOperands > 2 ? w.predicate(x.operands[2]) : 0;
  for (unsigned half = 0; half < 2 && half < x.numResults; ++half) {
    uint32_t lanes = 0;
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      lanes |=
          (uint32_t)holds<kComparison>(T::get(a[lane] >> 16 * half & 0xffff),
                                       T::get(b[lane] >> 16 * half & 0xffff))
          << lane;
    if (x.results[half].kind != Operand::None)
      w.setPredicate(x.results[half], combine(x.flags, lanes, other), mask);
  }
}

template <typename T>
void testProperty(Lanes &w, const Instruction &x, uint32_t mask) {
  using R = typename T::Register;
  constexpr unsigned kDigits = sizeof(R) == 8 ? 52 : 23;
  constexpr R kLargest = (R(1) << (8 * sizeof(R) - 1 - kDigits)) - 1;
  const R *a = getRegister<R>(w, x.operands[0]);
  uint32_t lanes = 0;
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    R exponent = a[lane] >> kDigits & kLargest;
    R fraction = a[lane] & ((R(1) << kDigits) - 1);
    bool isFinite = exponent != kLargest, isZero = !exponent && !fraction;
    bool isNumber = isFinite || !fraction;
    bool isSubnormal = !exponent && fraction;
    // In the order of finite, infinite, number, notanumber, normal, subnormal.
    bool values[] = {isFinite,
                     isNumber && !isFinite,
                     isNumber,
                     !isNumber,
                     isFinite && !isSubnormal && !isZero,
                     isSubnormal};
    lanes |= (uint32_t)values[x.count] << lane;
  }
  w.setPredicate(x.results[0], lanes, mask);
}

template <template <typename, Comparison> class Choose, typename T>
Handler byComparison(Comparison comparison) {
  switch (comparison) {
#define EMULATED_CASE(NAME)                                                    \
  case Comparison::NAME:                                                       \
    return Choose<T, Comparison::NAME>::run;
    EMULATED_CASE(Equal)
    EMULATED_CASE(NotEqual)
    EMULATED_CASE(Less)
    EMULATED_CASE(LessEqual)
    EMULATED_CASE(Greater)
    EMULATED_CASE(GreaterEqual)
    EMULATED_CASE(EqualOrUnordered)
    EMULATED_CASE(NotEqualOrUnordered)
    EMULATED_CASE(LessOrUnordered)
    EMULATED_CASE(LessEqualOrUnordered)
    EMULATED_CASE(GreaterOrUnordered)
    EMULATED_CASE(GreaterEqualOrUnordered)
    EMULATED_CASE(Ordered)
    EMULATED_CASE(Unordered)
#undef EMULATED_CASE
  }
}

template <typename T, Comparison kComparison> struct ToPredicate {
  static constexpr Handler run = compare<T, kComparison>;
};
template <typename T, Comparison kComparison> struct ToValue {
  static constexpr Handler run = compareToValue<T, kComparison>;
};
template <typename T, Comparison kComparison> struct Packed {
  static constexpr Handler run = comparePacked<T, kComparison>;
};

template <template <typename, Comparison> class Choose>
Handler byType(Type type, Comparison comparison) {
  switch (type) {
  case Type::S16:
    return byComparison<Choose, S16>(comparison);
  case Type::U16:
  case Type::B16:
    return byComparison<Choose, U16>(comparison);
  case Type::S32:
    return byComparison<Choose, S32>(comparison);
  case Type::U32:
  case Type::B32:
    return byComparison<Choose, U32>(comparison);
  case Type::S64:
    return byComparison<Choose, S64>(comparison);
  case Type::U64:
  case Type::B64:
    return byComparison<Choose, U64>(comparison);
  case Type::F16:
    return byComparison<Choose, F16>(comparison);
  case Type::BF16:
    return byComparison<Choose, BF16>(comparison);
  case Type::F32:
    return byComparison<Choose, F32>(comparison);
  case Type::F64:
    return byComparison<Choose, F64>(comparison);
  default:
    return nullptr;
  }
}

} // namespace

Handler MOE_VECTOR_ISA::selectCompare(const VectorKey &key) {
  auto comparison = Comparison(key.flags >> kComparisonShift & 15);
  if (key.operation == Operation::TestProperty)
    return key.type == Type::F64 ? testProperty<F64> : testProperty<F32>;
  if (key.operation == Operation::CompareToValue)
    return byType<ToValue>(key.source, comparison);
  if (key.operation != Operation::Compare)
    return nullptr;
  if (key.type == Type::F16x2)
    return byComparison<Packed, F16>(comparison);
  if (key.type == Type::BF16x2)
    return byComparison<Packed, BF16>(comparison);
  return byType<ToPredicate>(key.type, comparison);
}
