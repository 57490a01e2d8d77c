//===- Atomics.cpp - atomic operations ------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/execute/Warp.h"
#include "runtime/device/emulated/vector/Numbers.h"

#include <algorithm>

using namespace emulated;

namespace {

template <typename V> V combine(AtomicOperation operation, V old, V value) {
  switch (operation) {
  case AtomicOperation::Add:
    return V(old + value);
  case AtomicOperation::Min:
    return value < old ? value : old;
  case AtomicOperation::Max:
    return value > old ? value : old;
  case AtomicOperation::Exchange:
    return value;
  default:
    return old;
  }
}

template <typename U> U combineBits(AtomicOperation operation, U old, U value) {
  switch (operation) {
  case AtomicOperation::And:
    return old & value;
  case AtomicOperation::Or:
    return old | value;
  case AtomicOperation::Xor:
    return old ^ value;
  case AtomicOperation::Increment:
    return old >= value ? 0 : old + 1;
  case AtomicOperation::Decrement:
    return old == 0 || old > value ? value : old - 1;
  default:
    return combine(operation, old, value);
  }
}

uint32_t combineHalf(Type type, AtomicOperation operation, uint32_t old,
                     uint32_t value) {
  bool isHalf = type == Type::F16 || type == Type::F16x2;
  auto get = [&](uint32_t bits) {
    return isHalf ? halfToFloat(bits & 0xffff) : bfloatToFloat(bits & 0xffff);
  };
  float result = combine(operation, get(old), get(value));
  return isHalf ? floatToHalf(result) : floatToBfloat(result);
}

/// The value that `operation` leaves in memory.
uint64_t compute(Type type, AtomicOperation operation, uint64_t old,
                 uint64_t value) {
  switch (type) {
  case Type::F32:
    return bitCast<uint32_t>(combine(operation, bitCast<float>(uint32_t(old)),
                                     bitCast<float>(uint32_t(value))));
  case Type::F64:
    return bitCast<uint64_t>(
        combine(operation, bitCast<double>(old), bitCast<double>(value)));
  case Type::F16:
  case Type::BF16:
    return combineHalf(type, operation, old, value);
  case Type::F16x2:
  case Type::BF16x2:
    return combineHalf(type, operation, old, value) |
           combineHalf(type, operation, old >> 16, value >> 16) << 16;
  case Type::S32:
    return uint32_t(combine(operation, int32_t(old), int32_t(value)));
  case Type::S64:
    return combine(operation, int64_t(old), int64_t(value));
  case Type::B64:
  case Type::U64:
    return combineBits(operation, old, value);
  default:
    return combineBits(operation, uint32_t(old), uint32_t(value));
  }
}

/// Other CTAs may run on other threads of the host at the same time.
template <typename T>
uint64_t update(uint8_t *pointer, const Instruction &x, uint64_t value,
                uint64_t swap) {
  T *place = reinterpret_cast<T *>(pointer);
  auto operation = AtomicOperation(x.flags);
  T old = __atomic_load_n(place, __ATOMIC_RELAXED), next;
  do {
    if (operation == AtomicOperation::CompareAndSwap)
      next = old == T(value) ? T(swap) : old;
    else
      next = T(compute(x.type, operation, old, value));
  } while (!__atomic_compare_exchange_n(place, &old, next, false,
                                        __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
  return old;
}

uint64_t readLane(const Lanes &lanes, const Operand &operand, unsigned lane) {
  return operand.kind == Operand::Wide ? lanes.wide(operand)[lane]
                                       : lanes.word(operand)[lane];
}

} // namespace

void emulated::atomic(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  unsigned size = sizeOf(x.type);
  uint8_t *pointers[kWarpSize];
  resolve(warp, x, x.addresses[0], mask, size * x.count, Access::Atomic,
          pointers);
  bool isSwap = AtomicOperation(x.flags) == AtomicOperation::CompareAndSwap;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    if (reinterpret_cast<uint64_t>(pointers[lane]) % size)
      warp.fail(FaultKind::Misaligned, x, lane, "updates a misaligned word");
    for (unsigned i = 0; i < x.count; ++i) {
      uint64_t value = readLane(lanes, x.operands[i], lane);
      uint64_t swap = isSwap ? readLane(lanes, x.operands[x.count], lane) : 0;
      uint8_t *pointer = pointers[lane] + i * size;
      uint64_t old = size == 8   ? update<uint64_t>(pointer, x, value, swap)
                     : size == 4 ? update<uint32_t>(pointer, x, value, swap)
                                 : update<uint16_t>(pointer, x, value, swap);
      if (i >= x.numResults || x.results[i].kind == Operand::None)
        continue;
      if (x.results[i].kind == Operand::Wide)
        lanes.wide(x.results[i])[lane] = old;
      else
        lanes.word(x.results[i])[lane] = uint32_t(old);
    }
  }
}
