//===- CopyAsync.cpp - copies by cp.async ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/TensorHandlers.h"
#include "runtime/device/emulated/execute/Warp.h"

#include <algorithm>
#include <cstring>

using namespace emulated;

static void perform(const PendingCopy &copy) {
  memcpy(copy.destination, copy.source, copy.sourceSize);
  memset(copy.destination + copy.sourceSize, 0, copy.size - copy.sourceSize);
}

void emulated::copyAsync(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  Cluster &cluster = *warp.cta->cluster;
  uint8_t *to[kWarpSize], *from[kWarpSize] = {};
  uint16_t sizes[kWarpSize];
  uint32_t whole = 0, partial = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    sizes[lane] = x.count;
    if (x.numOperands && x.operands[0].kind == Operand::Predicate)
      sizes[lane] = lanes.predicate(x.operands[0]) >> lane & 1 ? 0 : x.count;
    else if (x.numOperands)
      sizes[lane] = std::min(lanes.word(x.operands[0])[lane], x.count);
    if (sizes[lane])
      (sizes[lane] == x.count ? whole : partial) |= 1u << lane;
  }
  resolve(warp, x, x.addresses[0], mask, x.count, Access::Async, to);
  // Lanes that read nothing may have any source.
  if (whole)
    resolve(warp, x, x.addresses[1], whole, x.count, Access::Read, from);
  for (uint32_t rest = partial; rest; rest &= rest - 1) {
    uint8_t *pointers[kWarpSize];
    unsigned lane = __builtin_ctz(rest);
    resolve(warp, x, x.addresses[1], 1u << lane, 1, Access::Read, pointers);
    from[lane] = pointers[lane];
  }
  AsyncOrder order = cluster.launch.options.order;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    PendingCopy copy;
    copy.destination = to[lane];
    copy.source = from[lane];
    copy.size = x.count;
    copy.sourceSize = sizes[lane];
    copy.lane = lane;
    copy.group = warp.copyGroup[lane];
    copy.instruction = &x;
    bool isEarly = order == AsyncOrder::Early ||
                   (order == AsyncOrder::Random && cluster.random() % 2);
    if (isEarly)
      perform(copy);
    copy.isPerformed = isEarly;
    if (order != AsyncOrder::Early || cluster.checker)
      warp.copies.push_back(copy);
  }
}

void emulated::completeCopies(Warp &warp, uint32_t mask, uint32_t numLeft,
                              bool isAll) {
  size_t kept = 0;
  Checker *checker = warp.cta->cluster->checker.get();
  for (PendingCopy &copy : warp.copies) {
    uint32_t issued = warp.copyGroup[copy.lane];
    bool isDue =
        (mask >> copy.lane & 1) && (isAll || copy.group + numLeft < issued);
    if (!isDue) {
      warp.copies[kept++] = copy;
      continue;
    }
    if (!copy.isPerformed)
      perform(copy);
    if (checker)
      checker->endWrite(warp, copy.lane, *warp.cta,
                        warp.cta->getOffset(copy.destination), copy.size);
  }
  warp.copies.resize(kept);
}

void emulated::copyAsyncCommit(Lanes &lanes, const Instruction &,
                               uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  for (uint32_t rest = mask; rest; rest &= rest - 1)
    ++warp.copyGroup[__builtin_ctz(rest)];
}

void emulated::copyAsyncWait(Lanes &lanes, const Instruction &x,
                             uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  if (!warp.copies.empty())
    completeCopies(warp, mask, x.immediate, x.target == -2);
}

void emulated::copyAsyncArrive(Lanes &lanes, const Instruction &x,
                               uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, x.addresses[0], addresses);
  std::vector<PendingCopy> mine;
  for (const PendingCopy &copy : warp.copies)
    if (mask >> copy.lane & 1)
      mine.push_back(copy);
  warp.copies.erase(std::remove_if(warp.copies.begin(), warp.copies.end(),
                                   [&](const PendingCopy &copy) {
                                     return mask >> copy.lane & 1;
                                   }),
                    warp.copies.end());
  struct Place {
    Cta *cta;
    uint32_t offset;
    unsigned lane;
  };
  std::vector<Place> places;
  Checker *checker = warp.cta->cluster->checker.get();
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    Place place;
    place.lane = __builtin_ctz(rest);
    Mbarrier &barrier = findMbarrier(warp, x, place.lane, addresses[place.lane],
                                     place.cta, place.offset);
    if (!(x.flags & 1))
      ++barrier.pending;
    if (checker)
      checker->release(warp, barrier.current);
    places.push_back(place);
  }
  Warp *owner = &warp;
  const Instruction *issuer = &x;
  warp.cta->cluster->addAsync(
      [=] {
        for (const Place &place : places) {
          auto found = place.cta->mbarriers.find(place.offset);
          if (found == place.cta->mbarriers.end() || !found->second.pending)
            owner->fail(FaultKind::Synchronisation, *issuer, place.lane,
                        "arrives at an mbarrier that expects no arrival");
          for (const PendingCopy &copy : mine) {
            if (copy.lane != place.lane)
              continue;
            if (!copy.isPerformed)
              perform(copy);
            if (checker)
              checker->endWrite(found->second, false, *owner->cta,
                                owner->cta->getOffset(copy.destination),
                                copy.size);
          }
          --found->second.pending;
          completePhase(*place.cta, found->second);
        }
      },
      "cp.async.mbarrier.arrive");
}
