//===- Move.cpp - moves and choices on lanes ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/vector/Lanes.h"

using namespace emulated;

namespace {

template <typename R> void move(Lanes &w, const Instruction &x, uint32_t mask) {
  store(getRegister<R>(w, x.results[0]), getRegister<R>(w, x.operands[0]),
        mask);
}

/// Between registers of different size.
void widen(Lanes &w, const Instruction &x, uint32_t mask) {
  map1<uint64_t, uint32_t>(w, x, mask, [](uint32_t a) { return (uint64_t)a; });
}
void narrow(Lanes &w, const Instruction &x, uint32_t mask) {
  map1<uint32_t, uint64_t>(w, x, mask, [](uint64_t a) { return (uint32_t)a; });
}

void movePredicate(Lanes &w, const Instruction &x, uint32_t mask) {
  w.setPredicate(x.results[0], w.predicate(x.operands[0]), mask);
}

EMULATED_INLINE uint64_t getPart(const uint32_t *part, unsigned lane,
                                 unsigned bits) {
  return bits == 32 ? part[lane] : part[lane] & ((1u << bits) - 1);
}

/// Packs parts into one register; the first part is the lowest.
template <typename R> void pack(Lanes &w, const Instruction &x, uint32_t mask) {
  alignas(64) R values[kWarpSize] = {};
  unsigned bits = 8 * sizeOf(x.type) / x.numOperands;
  for (unsigned i = 0; i < x.numOperands; ++i) {
    const uint32_t *part = w.word(x.operands[i]);
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      values[lane] |= (R)getPart(part, lane, bits) << (bits * i);
  }
  store(getRegister<R>(w, x.results[0]), values, mask);
}

template <typename R>
void unpack(Lanes &w, const Instruction &x, uint32_t mask) {
  unsigned bits = 8 * sizeOf(x.type) / x.numResults;
  alignas(64) R source[kWarpSize];
  __builtin_memcpy(source, getRegister<R>(w, x.operands[0]), sizeof source);
  for (unsigned i = 0; i < x.numResults; ++i) {
    if (x.results[i].kind == Operand::None)
      continue;
    alignas(64) uint32_t values[kWarpSize];
    R field = bits >= 8 * sizeof(R) ? ~R(0) : (R(1) << bits) - 1;
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      values[lane] = (uint32_t)(source[lane] >> (bits * i) & field);
    store(w.word(x.results[i]), values, mask);
  }
}

template <typename R>
void select(Lanes &w, const Instruction &x, uint32_t mask) {
  uint32_t chosen = w.predicate(x.operands[2]);
  const R *a = getRegister<R>(w, x.operands[0]);
  const R *b = getRegister<R>(w, x.operands[1]);
  alignas(64) R values[kWarpSize];
  for (unsigned lane = 0; lane < kWarpSize; ++lane)
    values[lane] = chosen >> lane & 1 ? a[lane] : b[lane];
  store(getRegister<R>(w, x.results[0]), values, mask);
}

/// slct: the first operand where the third one is not negative.
template <typename R, bool kIsFloat>
void selectBySign(Lanes &w, const Instruction &x, uint32_t mask) {
  map3<R, R, R, uint32_t>(w, x, mask, [](R a, R b, uint32_t c) {
    bool isFirst = kIsFloat ? bitCast<float>(c) >= 0 : (int32_t)c >= 0;
    return isFirst ? a : b;
  });
}

} // namespace

Handler MOE_VECTOR_ISA::selectMove(const VectorKey &key) {
  bool isWide = sizeOf(key.type) == 8;
  switch (key.operation) {
  case Operation::Move:
    if (key.type == Type::Pred)
      return movePredicate;
    if (key.source != Type::None && sizeOf(key.source) == 8 && !isWide)
      return narrow;
    if (key.source != Type::None && sizeOf(key.source) < 8 && isWide)
      return widen;
    return isWide ? move<uint64_t> : move<uint32_t>;
  case Operation::Pack:
    return isWide ? pack<uint64_t> : pack<uint32_t>;
  case Operation::Unpack:
    return isWide ? unpack<uint64_t> : unpack<uint32_t>;
  case Operation::Select:
    return isWide ? select<uint64_t> : select<uint32_t>;
  case Operation::SelectBySign:
    if (key.source == Type::F32)
      return isWide ? selectBySign<uint64_t, true>
                    : selectBySign<uint32_t, true>;
    return isWide ? selectBySign<uint64_t, false>
                  : selectBySign<uint32_t, false>;
  default:
    return nullptr;
  }
}
