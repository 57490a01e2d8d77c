//===- Barriers.cpp - barriers of a CTA, a cluster and a warp -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/execute/Warp.h"

using namespace emulated;

/// Threads that have arrived; a warp counts whole when all its live lanes have.
static unsigned countArrived(const Cta &cta, const Barrier &barrier) {
  unsigned arrived = 0;
  for (const Warp &warp : cta.warps) {
    uint32_t lanes = barrier.arrived[warp.index];
    bool isWhole = lanes && (lanes & warp.live) == warp.live;
    arrived += isWhole ? kWarpSize : __builtin_popcount(lanes);
  }
  return arrived;
}

static bool isComplete(const Cta &cta, const Barrier &barrier) {
  if (barrier.expected)
    return countArrived(cta, barrier) >= barrier.expected;
  for (const Warp &warp : cta.warps)
    if (warp.live & ~barrier.arrived[warp.index])
      return false;
  return true;
}

static void writeReductions(Barrier &barrier, unsigned numThreads) {
  for (const Barrier::Reduction &reduction : barrier.reductions) {
    const Instruction &x = *reduction.instruction;
    Warp &warp = *reduction.warp;
    unsigned kind = x.flags >> kBarrierReduceShift & 3;
    if (kind == 0) {
      uint32_t *result = warp.word(x.results[0]);
      for (uint32_t rest = reduction.mask; rest; rest &= rest - 1)
        result[__builtin_ctz(rest)] = barrier.numTrue;
      continue;
    }
    bool holds =
        kind == 1 ? barrier.numTrue == numThreads : barrier.numTrue > 0;
    warp.setPredicate(x.results[0], holds ? kAllLanes : 0, reduction.mask);
  }
}

static void release(Cta &cta, unsigned index) {
  Barrier &barrier = cta.barriers[index];
  unsigned numThreads = 0;
  for (uint32_t lanes : barrier.arrived)
    numThreads += __builtin_popcount(lanes);
  writeReductions(barrier, numThreads);
  Checker *checker = cta.cluster->checker.get();
  for (Warp &warp : cta.warps)
    for (Group &group : warp.groups)
      if (group.state == Group::AtBarrier && group.waitsFor == index) {
        group.state = Group::Running;
        if (!checker)
          continue;
        checker->acquire(warp, barrier.knowledge);
        checker->synchroniseLanes(warp);
      }
  barrier = Barrier();
  barrier.arrived.assign(cta.warps.size(), 0);
}

void emulated::releaseBarriers(Cta &cta) {
  for (unsigned i = 0; i < 16; ++i)
    if (cta.barriers[i].isUsed && isComplete(cta, cta.barriers[i]))
      release(cta, i);
}

void emulated::arriveAtBarrier(Warp &warp, const Instruction &x, uint32_t mask,
                               unsigned index, unsigned count, bool isWaiting) {
  Cta &cta = *warp.cta;
  unsigned lane = __builtin_ctz(mask);
  if (index >= 16)
    warp.fail(FaultKind::Synchronisation, x, lane,
              "names barrier " + std::to_string(index) + ", expected 0 to 15");
  if (count % kWarpSize)
    warp.fail(FaultKind::Synchronisation, x, lane,
              "expects " + std::to_string(count) +
                  " threads, which is no multiple of 32");
  if ((x.flags & kBarrierAligned) && mask != warp.live)
    warp.fail(FaultKind::Synchronisation, x, lane,
              "is executed by some lanes of a diverged warp");
  Barrier &barrier = cta.barriers[index];
  if (barrier.arrived.empty())
    barrier.arrived.assign(cta.warps.size(), 0);
  if (barrier.isUsed && barrier.expected != count)
    warp.fail(FaultKind::Synchronisation, x, lane,
              "expects " + std::to_string(count) +
                  " threads at a barrier where others expect " +
                  std::to_string(barrier.expected));
  if (barrier.arrived[warp.index] & mask)
    warp.fail(FaultKind::Synchronisation, x, lane,
              "arrives at barrier " + std::to_string(index) +
                  " a second time before it is complete");
  barrier.isUsed = true;
  barrier.expected = count;
  barrier.arrived[warp.index] |= mask;
  if (Checker *checker = cta.cluster->checker.get())
    checker->release(warp, barrier.knowledge);
  if (isWaiting) {
    Group &group = warp.getGroup();
    group.state = Group::AtBarrier;
    group.waitsFor = index;
    warp.isStopped = true;
  }
  if (count && countArrived(cta, barrier) > count)
    warp.fail(FaultKind::Synchronisation, x, lane,
              "arrives at barrier " + std::to_string(index) +
                  " as one more than " + std::to_string(count) + " threads");
  if (isComplete(cta, barrier))
    release(cta, index);
}

void emulated::barrier(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  unsigned lane = __builtin_ctz(mask);
  arriveAtBarrier(warp, x, mask, lanes.word(x.operands[0])[lane],
                  lanes.word(x.operands[1])[lane], x.flags & kBarrierWaits);
}

void emulated::barrierReduce(Lanes &lanes, const Instruction &x,
                             uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  unsigned lane = __builtin_ctz(mask);
  unsigned index = lanes.word(x.operands[0])[lane];
  if (index < 16) {
    Barrier &barrier = warp.cta->barriers[index];
    barrier.numTrue +=
        __builtin_popcount(lanes.predicate(x.operands[2]) & mask);
    barrier.reductions.push_back({&warp, mask, &x});
  }
  arriveAtBarrier(warp, x, mask, index, lanes.word(x.operands[1])[lane], true);
}

void emulated::warpBarrier(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint32_t members = lanes.word(x.operands[0])[__builtin_ctz(mask)];
  Group &group = warp.getGroup();
  if (Checker *checker = warp.cta->cluster->checker.get())
    checker->synchroniseLanes(warp);
  if (!(members & warp.live & ~mask))
    return;
  // Lanes that diverged wait for each other, whatever their instruction.
  group.state = Group::AtWarpBarrier;
  warp.isStopped = true;
  uint32_t waiting = 0;
  for (const Group &other : warp.groups)
    if (other.state == Group::AtWarpBarrier)
      waiting |= other.mask;
  if (members & warp.live & ~waiting)
    return;
  for (Group &other : warp.groups)
    if (other.state == Group::AtWarpBarrier)
      other.state = Group::Running;
}

void emulated::releaseClusterBarrier(Cluster &cluster) {
  if (!cluster.numAtBarrier || cluster.numAtBarrier < cluster.numLive)
    return;
  cluster.numAtBarrier = 0;
  ++cluster.barrierPhase;
  for (Cta &cta : cluster.ctas)
    for (Warp &warp : cta.warps)
      for (Group &group : warp.groups)
        if (group.state == Group::AtClusterBarrier) {
          group.state = Group::Running;
          if (cluster.checker)
            cluster.checker->acquire(warp, cluster.barrierKnowledge);
        }
}

void emulated::clusterBarrier(Lanes &lanes, const Instruction &x,
                              uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  Cluster &cluster = *warp.cta->cluster;
  Group &group = warp.getGroup();
  if (x.flags & kBarrierArrives) {
    if (warp.clusterArrived & mask)
      warp.fail(
          FaultKind::Synchronisation, x, __builtin_ctz(mask),
          "arrives at the cluster's barrier a second time without a wait");
    warp.clusterArrived |= mask;
    warp.clusterPhase = cluster.barrierPhase;
    cluster.numAtBarrier += __builtin_popcount(mask);
    if (cluster.checker)
      cluster.checker->release(warp, cluster.barrierKnowledge);
    releaseClusterBarrier(cluster);
    return;
  }
  if (mask & ~warp.clusterArrived)
    warp.fail(FaultKind::Synchronisation, x,
              __builtin_ctz(mask & ~warp.clusterArrived),
              "waits at the cluster's barrier without an arrival");
  warp.clusterArrived &= ~mask;
  if (cluster.checker)
    cluster.checker->synchroniseLanes(warp);
  if (warp.clusterPhase != cluster.barrierPhase) {
    if (cluster.checker)
      cluster.checker->acquire(warp, cluster.barrierKnowledge);
    return;
  }
  group.state = Group::AtClusterBarrier;
  warp.isStopped = true;
}
