//===- Handlers.h - code of the instructions that are not lane operations --*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_EXECUTE_HANDLERS_H
#define RUNTIME_DEVICE_EMULATED_EXECUTE_HANDLERS_H

#include "runtime/device/emulated/vector/Instruction.h"

namespace emulated {

#define EMULATED_HANDLER(NAME) void NAME(Lanes &, const Instruction &, uint32_t)

/// Runs `wrapped` under the rounding and flushing of `floatControl`.
EMULATED_HANDLER(runWithFloatControl);
/// %clock, %clock64, %globaltimer.
EMULATED_HANDLER(readClock);

// Memory. `count` is the number of elements of a vector.
EMULATED_HANDLER(loadParameter);
EMULATED_HANDLER(load);
EMULATED_HANDLER(store);
/// `immediate` bytes from the local address `flags` to the local address
/// `count`.
EMULATED_HANDLER(copyLocal);
EMULATED_HANDLER(isInSpace);
EMULATED_HANDLER(mapShared);
EMULATED_HANDLER(getSharedRank);
/// `flags`: AtomicOperation.
EMULATED_HANDLER(atomic);
EMULATED_HANDLER(fence);
EMULATED_HANDLER(doNothing);

enum class AtomicOperation : uint8_t {
  Add,
  Min,
  Max,
  And,
  Or,
  Xor,
  Exchange,
  CompareAndSwap,
  Increment,
  Decrement,
};

// Lanes of a warp together.
EMULATED_HANDLER(shuffle);
EMULATED_HANDLER(vote);
EMULATED_HANDLER(match);
EMULATED_HANDLER(reduce);
EMULATED_HANDLER(readActiveMask);
EMULATED_HANDLER(elect);
EMULATED_HANDLER(trap);

// Barriers.
EMULATED_HANDLER(barrier);
EMULATED_HANDLER(barrierReduce);
EMULATED_HANDLER(warpBarrier);
EMULATED_HANDLER(clusterBarrier);

/// Bits of `flags` of barriers.
enum : uint32_t {
  kBarrierArrives = 1,
  kBarrierAligned = 2,
  kBarrierWaits = 4,
  // 8-9: 0 popc, 1 and, 2 or.
  kBarrierReduceShift = 8,
};

#undef EMULATED_HANDLER

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_EXECUTE_HANDLERS_H
