//===- Checker.cpp - finds accesses that nothing orders -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/check/Checker.h"

#include "runtime/device/emulated/check/GlobalChecker.h"
#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/execute/Warp.h"

using namespace emulated;

Checker::Checker(Cluster &cluster) : cluster(cluster) {
  numWarps = cluster.launch.getNumWarps() * cluster.ctas.size();
  numAgents = numWarps;
  warps.resize(numWarps);
  for (unsigned i = 0; i < numWarps; ++i)
    warps[i].knowledge.seen.set(i, 1);
  for (Cta &cta : cluster.ctas) {
    size_t numWords = cta.shared.size() / 4 + 4;
    SharedState state;
    state.words.resize(numWords);
    state.reads.resize(numWords * numWarps);
    shared.push_back(std::move(state));
  }
}

unsigned Checker::getAgent(const Warp &warp) const {
  return warp.cta->rank * cluster.launch.getNumWarps() + warp.index;
}

std::string Checker::describeAgent(unsigned agent) const {
  if (agent >= numWarps)
    return "an asynchronous operation";
  unsigned perCta = cluster.launch.getNumWarps();
  std::string name = "warp " + std::to_string(agent % perCta);
  if (cluster.ctas.size() > 1)
    name += " of " + cluster.ctas[agent / perCta].getName();
  return name;
}

void Checker::fail(Warp &warp, const Instruction &x, unsigned lane,
                   const std::string &what, uint32_t offset, const Word &word) {
  std::string text = what + " shared memory at " + std::to_string(offset);
  if (word.writtenBy && word.writtenBy->statement)
    text += " (last written by " + describeAgent(word.writer) +
            " at PTX line " + std::to_string(word.writtenBy->statement->line) +
            ")";
  warp.fail(FaultKind::Race, x, lane, text);
}

template <typename Visit>
void Checker::forEachWord(Cta &cta, uint32_t offset, uint32_t size,
                          Visit visit) {
  SharedState &state = shared[cta.rank];
  uint32_t begin = offset - cta.sharedBase, end = begin + size;
  for (uint32_t index = begin / 4; index * 4 < end; ++index) {
    uint32_t low = std::max(begin, index * 4) - index * 4;
    uint32_t high = std::min(end, index * 4 + 4) - index * 4;
    uint8_t bytes = ((1u << (high - low)) - 1) << low;
    visit(state, index, state.words[index], bytes);
  }
}

/// The last write must come before: for any access.
void Checker::checkOrder(Warp &warp, const Instruction &x, unsigned lane,
                         const Word &word, uint32_t offset, uint8_t bytes,
                         bool isAtomic, const char *what) {
  if (word.pendingWrites)
    fail(warp, x, lane,
         std::string(what) + ", while an asynchronous copy to it is in flight,",
         offset, word);
  if (word.writer == kNobody || !(word.bytes & bytes) ||
      (isAtomic && word.isAtomic))
    return;
  unsigned agent = getAgent(warp);
  WarpState &state = warps[agent];
  if (word.writer != agent) {
    if (word.time > state.knowledge.seen.get(word.writer))
      fail(warp, x, lane,
           std::string(what) + ", not ordered after the write by " +
               describeAgent(word.writer) + ",",
           offset, word);
  } else if (word.lane != lane && word.lane != 255 && lane != 255 &&
             word.epoch == state.epoch && word.writtenBy != &x) {
    fail(warp, x, lane,
         std::string(what) +
             ", without bar.warp.sync after the write by lane " +
             std::to_string(word.lane) + ",",
         offset, word);
  }
}

/// All reads must come before: for writes.
void Checker::checkReaders(Warp &warp, const Instruction &x, unsigned lane,
                           const SharedState &state, size_t index,
                           uint32_t offset) {
  const Word &word = state.words[index];
  unsigned agent = getAgent(warp);
  const VectorClock &seen = warps[agent].knowledge.seen;
  if (word.pendingReads)
    fail(warp, x, lane,
         "overwrites, while an asynchronous read of it is in flight,", offset,
         word);
  if (word.reader != kNobody && word.readTime > seen.get(word.reader))
    fail(warp, x, lane, "overwrites, not ordered after an asynchronous read,",
         offset, word);
  const uint32_t *reads = state.reads.data() + index * numWarps;
  for (unsigned other = 0; other < numWarps; ++other)
    if (other != agent && reads[other] > seen.get(other))
      fail(warp, x, lane,
           "overwrites, not ordered after the read by " + describeAgent(other) +
               ",",
           offset, word);
}

/// Atomic operations on a word hand knowledge from one to the next.
void Checker::handOn(Warp &warp, const Instruction &x, uint32_t &slot) {
  if (!slot) {
    published.emplace_back();
    slot = published.size();
  }
  WarpState &state = getState(warp);
  Knowledge &place = published[slot - 1];
  place.join(x.isReleasing ? state.knowledge : state.atFence);
  state.knowledge.join(place);
  unsigned agent = getAgent(warp);
  state.knowledge.seen.set(agent, state.knowledge.seen.get(agent) + 1);
}

void Checker::accessShared(Warp &warp, const Instruction &x, unsigned lane,
                           Cta &cta, uint32_t offset, uint32_t size,
                           Access access) {
  if (access == Access::Async)
    return beginWrite(warp, x, lane, cta, offset, size);
  unsigned agent = getAgent(warp);
  bool isAtomic = access == Access::Atomic || x.isStrong;
  if (isAtomic)
    forEachWord(cta, offset, size,
                [&](SharedState &, size_t, Word &word, uint8_t) {
                  handOn(warp, x, word.knowledge);
                });
  WarpState &state = warps[agent];
  uint32_t now = state.knowledge.seen.get(agent);
  forEachWord(
      cta, offset, size,
      [&](SharedState &memory, size_t index, Word &word, uint8_t bytes) {
        checkOrder(warp, x, lane, word, offset, bytes, isAtomic,
                   access == Access::Read ? "reads" : "overwrites");
        if (access != Access::Write && (word.initialised & bytes) != bytes)
          warp.fail(FaultKind::Uninitialised, x, lane,
                    "reads shared memory at " + std::to_string(offset) +
                        ", which was not written");
        if (access != Access::Write && !isAtomic)
          memory.reads[index * numWarps + agent] = now;
        if (access == Access::Read)
          return;
        checkReaders(warp, x, lane, memory, index, offset);
        bool isSame =
            word.writer == agent && word.time == now && word.lane == lane;
        word.bytes = isSame ? word.bytes | bytes : bytes;
        word.writer = agent;
        word.lane = lane;
        word.time = now;
        word.epoch = state.epoch;
        word.isAsync = false;
        word.isAtomic = isAtomic;
        word.initialised |= bytes;
        word.writtenBy = &x;
      });
}

void Checker::beginWrite(Warp &warp, const Instruction &x, unsigned lane,
                         Cta &cta, uint32_t offset, uint32_t size) {
  forEachWord(
      cta, offset, size,
      [&](SharedState &memory, size_t index, Word &word, uint8_t bytes) {
        // Lanes of the warp are ordered by what they did before.
        checkOrder(warp, x, 255, word, offset, bytes, false, "copies over");
        checkReaders(warp, x, lane, memory, index, offset);
        ++word.pendingWrites;
        word.writtenBy = &x;
      });
}

void Checker::endWrite(Warp &warp, unsigned lane, Cta &cta, uint32_t offset,
                       uint32_t size) {
  unsigned agent = getAgent(warp);
  WarpState &state = warps[agent];
  forEachWord(cta, offset, size,
              [&](SharedState &, size_t, Word &word, uint8_t bytes) {
                --word.pendingWrites;
                word.writer = agent;
                word.lane = lane;
                word.bytes = bytes;
                word.initialised |= bytes;
                word.isAsync = word.isAtomic = false;
                word.time = state.knowledge.seen.get(agent);
                word.epoch = state.epoch;
              });
}

void Checker::endWrite(const Mbarrier &barrier, bool isAsyncProxy, Cta &cta,
                       uint32_t offset, uint32_t size) {
  forEachWord(cta, offset, size,
              [&](SharedState &, size_t, Word &word, uint8_t bytes) {
                --word.pendingWrites;
                word.writer = barrier.agent;
                word.lane = 255;
                word.bytes = bytes;
                word.initialised |= bytes;
                word.isAsync = isAsyncProxy;
                word.isAtomic = false;
                word.time = barrier.phase + 1;
              });
}

void Checker::beginRead(Warp &warp, const Instruction &x, unsigned lane,
                        Cta &cta, uint32_t offset, uint32_t size) {
  const Knowledge &known = getState(warp).knowledge;
  forEachWord(
      cta, offset, size, [&](SharedState &, size_t, Word &word, uint8_t bytes) {
        checkOrder(warp, x, 255, word, offset, bytes, false, "reads");
        if ((word.initialised & bytes) != bytes)
          warp.fail(FaultKind::Uninitialised, x, lane,
                    "reads shared memory at " + std::to_string(offset) +
                        ", which was not written");
        if (!word.isAsync && word.time > known.fenced.get(word.writer))
          fail(
              warp, x, lane,
              "reads asynchronously, without fence.proxy.async after the write "
              "by " +
                  describeAgent(word.writer) + ",",
              offset, word);
        ++word.pendingReads;
      });
}

void Checker::endRead(Warp &warp, Cta &cta, uint32_t offset, uint32_t size) {
  unsigned agent = getAgent(warp);
  uint32_t now = warps[agent].knowledge.seen.get(agent);
  forEachWord(cta, offset, size,
              [&](SharedState &memory, size_t index, Word &word, uint8_t) {
                --word.pendingReads;
                memory.reads[index * numWarps + agent] = now;
              });
}

void Checker::endRead(const Mbarrier &barrier, Cta &cta, uint32_t offset,
                      uint32_t size) {
  forEachWord(cta, offset, size,
              [&](SharedState &, size_t, Word &word, uint8_t) {
                --word.pendingReads;
                word.reader = barrier.agent;
                word.readTime = barrier.phase + 1;
              });
}

void Checker::release(Warp &warp, Knowledge &to) {
  unsigned agent = getAgent(warp);
  Knowledge &known = warps[agent].knowledge;
  to.join(known);
  known.seen.set(agent, known.seen.get(agent) + 1);
}

void Checker::acquire(Warp &warp, const Knowledge &from) {
  getState(warp).knowledge.join(from);
}

void Checker::synchroniseLanes(Warp &warp) { ++getState(warp).epoch; }

void Checker::fence(Warp &warp, bool isProxyFence, bool isMbarrierInit) {
  WarpState &state = getState(warp);
  unsigned agent = getAgent(warp);
  if (isProxyFence)
    state.knowledge.fenced.join(state.knowledge.seen);
  state.atFence.join(state.knowledge);
  if (isProxyFence || isMbarrierInit)
    for (Cta &cta : cluster.ctas)
      for (auto &entry : cta.mbarriers)
        if (entry.second.owner == agent)
          entry.second.isFenced = true;
  state.knowledge.seen.set(agent, state.knowledge.seen.get(agent) + 1);
}

void Checker::initialise(Warp &warp, Mbarrier &barrier) {
  barrier.agent = numAgents++;
  barrier.owner = getAgent(warp);
}

void Checker::completePhase(Mbarrier &barrier) {
  barrier.done.join(barrier.current);
  barrier.done.seen.set(barrier.agent, barrier.phase);
  barrier.done.fenced.set(barrier.agent, barrier.phase);
}

void Checker::useByProxy(Warp &warp, const Instruction &x, unsigned lane,
                         Mbarrier &barrier) {
  if (!barrier.isFenced)
    warp.fail(FaultKind::Race, x, lane,
              "uses an mbarrier by the asynchronous proxy without "
              "fence.mbarrier_init or fence.proxy.async after its "
              "initialisation");
}

void Checker::accessGlobal(Warp &warp, const Instruction &x, unsigned lane,
                           uint64_t address, uint32_t size, Access access) {
  GlobalChecker &global = *cluster.launch.globalChecker;
  bool isAtomic = access == Access::Atomic || x.isStrong;
  WarpState &state = getState(warp);
  unsigned agent = getAgent(warp);
  GlobalAccess mine;
  mine.cta = cluster.firstCta + warp.cta->rank;
  mine.warp = agent;
  mine.cluster = cluster.index;
  mine.time = state.knowledge.seen.get(agent);
  mine.isWrite = access != Access::Read;
  mine.isAtomic = isAtomic;
  mine.instruction = &x;
  if (isAtomic)
    global.handOn(address, cluster.index, state.knowledge,
                  x.isReleasing ? state.knowledge : state.atFence);
  auto conflict = global.access(address, size, mine, state.knowledge.seen);
  if (!conflict.instruction)
    return;
  std::string who = conflict.cluster == cluster.index
                        ? describeAgent(conflict.warp)
                        : "CTA number " + std::to_string(conflict.cta);
  warp.fail(FaultKind::Race, x, lane,
            std::string(mine.isWrite ? "writes" : "reads") +
                " global memory, not ordered after the " +
                (conflict.isWrite ? "write" : "read") + " by " + who +
                " at PTX line " +
                std::to_string(conflict.instruction->statement
                                   ? conflict.instruction->statement->line
                                   : 0));
}
