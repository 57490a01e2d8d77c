//===- Mbarriers.cpp - barriers in shared memory --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/TensorHandlers.h"
#include "runtime/device/emulated/execute/Warp.h"

using namespace emulated;

void emulated::completePhase(Cta &cta, Mbarrier &barrier) {
  if (barrier.pending != 0 || barrier.transactions != 0)
    return;
  ++barrier.phase;
  barrier.pending = barrier.expected;
  if (Checker *checker = cta.cluster->checker.get())
    checker->completePhase(barrier);
}

Mbarrier &emulated::findMbarrier(Warp &warp, const Instruction &x,
                                 unsigned lane, uint64_t address, Cta *&cta,
                                 uint32_t &offset) {
  cta = &locateShared(warp, x, lane, address, offset);
  auto found = cta->mbarriers.find(offset);
  if (found == cta->mbarriers.end())
    warp.fail(FaultKind::Synchronisation, x, lane,
              "names shared memory at " + std::to_string(offset) +
                  " as an mbarrier, where none is initialised");
  return found->second;
}

void emulated::mbarrierInit(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, x.addresses[0], addresses);
  uint8_t *pointers[kWarpSize];
  resolve(warp, x, x.addresses[0], mask, 8, Access::Write, pointers);
  const uint32_t *counts = lanes.word(x.operands[0]);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    uint32_t offset;
    Cta &cta = locateShared(warp, x, lane, addresses[lane], offset);
    Mbarrier barrier;
    barrier.expected = counts[lane];
    barrier.pending = counts[lane];
    if (Checker *checker = warp.cta->cluster->checker.get())
      checker->initialise(warp, barrier);
    cta.mbarriers[offset] = barrier;
  }
}

void emulated::mbarrierInvalidate(Lanes &lanes, const Instruction &x,
                                  uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, x.addresses[0], addresses);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    Cta *cta;
    uint32_t offset;
    findMbarrier(warp, x, lane, addresses[lane], cta, offset);
    cta->mbarriers.erase(offset);
  }
}

void emulated::mbarrierArrive(Lanes &lanes, const Instruction &x,
                              uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, x.addresses[0], addresses);
  Checker *checker = warp.cta->cluster->checker.get();
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    Cta *cta;
    uint32_t offset;
    Mbarrier &barrier =
        findMbarrier(warp, x, lane, addresses[lane], cta, offset);
    uint32_t value = x.numOperands ? lanes.word(x.operands[0])[lane] : 1;
    if (x.numResults && x.results[0].kind == Operand::Wide)
      lanes.wide(x.results[0])[lane] = barrier.phase;
    if (x.flags & kMbarrierExpects)
      barrier.transactions += value;
    if (x.flags & kMbarrierCompletes)
      barrier.transactions -= value;
    if (x.flags & kMbarrierArrives) {
      bool isCounted = !(x.flags & (kMbarrierExpects | kMbarrierCompletes));
      uint32_t count = isCounted ? value : 1;
      if (barrier.pending < count)
        warp.fail(FaultKind::Synchronisation, x, lane,
                  "arrives at the mbarrier at " + std::to_string(offset) +
                      " with " + std::to_string(count) + ", which expects " +
                      std::to_string(barrier.pending) + " more");
      if (x.flags & kMbarrierDrops)
        barrier.expected -= count;
      barrier.pending -= count;
      if (checker)
        checker->release(warp, barrier.current);
    }
    completePhase(*cta, barrier);
  }
}

void emulated::mbarrierWait(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, x.addresses[0], addresses);
  Checker *checker = warp.cta->cluster->checker.get();
  uint32_t done = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    Cta *cta;
    uint32_t offset;
    Mbarrier &barrier =
        findMbarrier(warp, x, lane, addresses[lane], cta, offset);
    bool isDone =
        x.flags & kMbarrierParity
            ? (barrier.phase & 1) != (lanes.word(x.operands[0])[lane] & 1)
            : barrier.phase != uint32_t(lanes.wide(x.operands[0])[lane]);
    done |= uint32_t(isDone) << lane;
    if (!isDone || !checker)
      continue;
    checker->acquire(warp, barrier.done);
    checker->synchroniseLanes(warp);
  }
  lanes.setPredicate(x.results[0], done, mask);
  if (done == mask)
    return;
  // Others go first; then the lanes see that the phase is not complete.
  Group &group = warp.getGroup();
  group.state = Group::Polling;
  group.pollPc = group.pc - 1;
  warp.isStopped = true;
}
