//===- Cluster.cpp - runs the CTAs of a cluster ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Warp.h"

#include <algorithm>
#include <cstring>

using namespace emulated;

std::string Cta::getName() const {
  return "CTA (" + std::to_string(id[0]) + ", " + std::to_string(id[1]) + ", " +
         std::to_string(id[2]) + ")";
}

void Warp::fail(FaultKind kind, const Instruction &instruction, unsigned lane,
                const std::string &message) const {
  const Launch &launch = *cta->launch;
  unsigned thread = getThread(lane);
  std::string text =
      "kernel '" + launch.program.name + "', PTX line " +
      std::to_string(instruction.statement ? instruction.statement->line : 0) +
      ", '" + launch.program.getText(instruction) + "': " + cta->getName() +
      ", warp " + std::to_string(index) + ", lane " + std::to_string(lane) +
      " (thread " + std::to_string(thread % launch.block[0]) + ", " +
      std::to_string(thread / launch.block[0] % launch.block[1]) + ", " +
      std::to_string(thread / launch.block[0] / launch.block[1]) + ") " +
      message;
  throw Fault{kind, text};
}

static void decompose(uint64_t index, const uint32_t *extents, uint32_t *to) {
  to[0] = index % extents[0];
  to[1] = index / extents[0] % extents[1];
  to[2] = index / extents[0] / extents[1];
}

Cluster::Cluster(Launch &launch, uint64_t index)
    : launch(launch),
      random(launch.options.seed * 0x9e3779b97f4a7c15ull + index) {
  const Program &program = launch.program;
  unsigned numWarps = launch.getNumWarps(), numCtas = launch.getClusterSize();
  uint32_t clusters[3], place[3];
  for (unsigned i = 0; i < 3; ++i)
    clusters[i] = launch.grid[i] / launch.cluster[i];
  decompose(index, clusters, place);
  // A filling that shows where registers and memory are read before written.
  uint32_t fill = launch.options.isChecked ? 0x7fbadbad : 0;
  size_t warpWords = (program.registerWords + 31) / 32 * 32;
  registers.assign(warpWords * numWarps * numCtas + 16, fill);
  locals.assign((size_t)program.localBytes * kWarpSize * numWarps * numCtas,
                launch.options.isChecked ? 0xcd : 0);
  uint32_t *nextRegisters = reinterpret_cast<uint32_t *>(
      (reinterpret_cast<uintptr_t>(registers.data()) + 63) / 64 * 64);
  uint8_t *nextLocals = locals.data();
  for (unsigned rank = 0; rank < numCtas; ++rank) {
    ctas.emplace_back();
    Cta &cta = ctas.back();
    cta.cluster = this;
    cta.launch = &launch;
    cta.rank = rank;
    uint32_t inside[3];
    decompose(rank, launch.cluster, inside);
    for (unsigned i = 0; i < 3; ++i)
      cta.id[i] = place[i] * launch.cluster[i] + inside[i];
    cta.sharedBase = program.sharedBase;
    cta.shared.assign(program.dynamicOffset - program.sharedBase +
                          launch.dynamicShared,
                      launch.options.isChecked ? 0xcd : 0);
    cta.numLive = launch.getNumThreads();
    numLive += cta.numLive;
    for (unsigned i = 0; i < numWarps; ++i) {
      cta.warps.emplace_back();
      Warp &warp = cta.warps.back();
      warp.cta = &cta;
      warp.index = i;
      warp.bank[0] = nextRegisters;
      warp.bank[1] = program.getConstants();
      nextRegisters += warpWords;
      warp.local = nextLocals;
      nextLocals += (size_t)program.localBytes * kWarpSize;
      unsigned numLanes =
          std::min(kWarpSize, launch.getNumThreads() - i * kWarpSize);
      warp.live = numLanes == kWarpSize ? kAllLanes : (1u << numLanes) - 1;
      warp.groups.emplace_back();
      warp.groups.back().mask = warp.live;
      initialise(warp);
    }
  }
  this->index = index;
  firstCta = index * numCtas;
  if (launch.options.isChecked)
    checker = std::make_unique<Checker>(*this);
}

static uint64_t getSpecialValue(const Warp &warp, Special special,
                                unsigned lane) {
  const Cta &cta = *warp.cta;
  const Launch &launch = *cta.launch;
  unsigned thread = warp.getThread(lane);
  auto axis = [&](Special first) {
    return unsigned(special) - unsigned(first);
  };
  uint32_t inside[3];
  decompose(cta.rank, launch.cluster, inside);
  switch (special) {
  case Special::ThreadX:
    return thread % launch.block[0];
  case Special::ThreadY:
    return thread / launch.block[0] % launch.block[1];
  case Special::ThreadZ:
    return thread / launch.block[0] / launch.block[1];
  case Special::NumThreadsX:
  case Special::NumThreadsY:
  case Special::NumThreadsZ:
    return launch.block[axis(Special::NumThreadsX)];
  case Special::CtaX:
  case Special::CtaY:
  case Special::CtaZ:
    return cta.id[axis(Special::CtaX)];
  case Special::NumCtasX:
  case Special::NumCtasY:
  case Special::NumCtasZ:
    return launch.grid[axis(Special::NumCtasX)];
  case Special::Lane:
    return lane;
  case Special::Warp:
    return warp.index;
  case Special::NumWarps:
    return launch.getNumWarps();
  case Special::MaskEqual:
    return 1u << lane;
  case Special::MaskLess:
    return (1u << lane) - 1;
  case Special::MaskLessEqual:
    return (2ull << lane) - 1;
  case Special::MaskGreater:
    return ~((2ull << lane) - 1);
  case Special::MaskGreaterEqual:
    return ~((1u << lane) - 1);
  case Special::Multiprocessor:
    return (cta.id[0] + cta.id[1] + cta.id[2]) % 132;
  case Special::NumMultiprocessors:
    return 132;
  case Special::Grid:
    return 1;
  case Special::ClusterRank:
    return cta.rank;
  case Special::ClusterNumCtas:
    return launch.getClusterSize();
  case Special::ClusterCtaX:
  case Special::ClusterCtaY:
  case Special::ClusterCtaZ:
    return inside[axis(Special::ClusterCtaX)];
  case Special::ClusterNumCtasX:
  case Special::ClusterNumCtasY:
  case Special::ClusterNumCtasZ:
    return launch.cluster[axis(Special::ClusterNumCtasX)];
  case Special::ClusterX:
  case Special::ClusterY:
  case Special::ClusterZ:
    return cta.id[axis(Special::ClusterX)] /
           launch.cluster[axis(Special::ClusterX)];
  case Special::NumClustersX:
  case Special::NumClustersY:
  case Special::NumClustersZ:
    return launch.grid[axis(Special::NumClustersX)] /
           launch.cluster[axis(Special::NumClustersX)];
  case Special::IsExplicitCluster:
    return launch.getClusterSize() > 1 ? ~0u : 0;
  case Special::DynamicShared:
    return launch.dynamicShared;
  case Special::TotalShared:
    return cta.shared.size();
  case Special::Parameters:
    return reinterpret_cast<uint64_t>(launch.parameters);
  }
  return 0;
}

void Cluster::initialise(Warp &warp) {
  for (const SpecialRegister &entry : launch.program.specials)
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      uint64_t value = getSpecialValue(warp, entry.special, lane);
      if (entry.operand.kind == Operand::Wide)
        warp.wide(entry.operand)[lane] = value;
      else
        warp.word(entry.operand)[lane] = uint32_t(value);
    }
}

void Cluster::addAsync(std::function<void()> complete,
                       std::string description) {
  AsyncOrder order = launch.options.order;
  if (order == AsyncOrder::Early)
    return complete();
  pending.push_back({std::move(complete), std::move(description)});
}

void Cluster::completeOne() {
  size_t chosen = launch.options.order == AsyncOrder::Random
                      ? random() % pending.size()
                      : 0;
  AsyncOperation operation = std::move(pending[chosen]);
  pending.erase(pending.begin() + chosen);
  operation.complete();
}

void Cluster::reportDeadlock() {
  static const char *const kStates[] = {"runs",
                                        "waits for diverged lanes",
                                        "waits at a barrier",
                                        "waits at the cluster's barrier",
                                        "waits for lanes at bar.warp.sync",
                                        "waits for an mbarrier"};
  std::string text =
      "kernel '" + launch.program.name + "': deadlock, no thread can go on:";
  unsigned numListed = 0;
  for (const Cta &cta : ctas)
    for (const Warp &warp : cta.warps)
      for (const Group &group : warp.groups) {
        if (++numListed > 16)
          continue;
        int32_t pc =
            group.state == Group::Polling ? group.pollPc : group.pc - 1;
        if (group.state == Group::AtReconvergence)
          pc = group.pc;
        const Instruction &x = launch.program.code[std::max(pc, 0)];
        char mask[16];
        snprintf(mask, sizeof mask, "%08x", group.mask);
        text += "\n  " + cta.getName() + ", warp " +
                std::to_string(warp.index) + ", lanes 0x" + mask + " " +
                kStates[group.state];
        if (group.state == Group::AtBarrier)
          text += " " + std::to_string(group.waitsFor);
        text += ", PTX line " +
                std::to_string(x.statement ? x.statement->line : 0) + ", '" +
                launch.program.getText(x) + "'";
      }
  if (numListed > 16)
    text += "\n  and " + std::to_string(numListed - 16) + " more";
  throw Fault{FaultKind::Deadlock, text};
}

/// Gives each warp a turn; false if all of them wait.
bool Cluster::runRound() {
  bool hasProgress = false;
  uint64_t seed = launch.options.seed;
  std::vector<Warp *> order;
  for (Cta &cta : ctas)
    for (Warp &warp : cta.warps)
      if (warp.live)
        order.push_back(&warp);
  if (seed)
    std::shuffle(order.begin(), order.end(), random);
  for (Warp *warp : order) {
    hasProgress |= runWarp(*warp, seed ? 1 + random() % 64 : 1 << 16);
    if (launch.options.order == AsyncOrder::Random && !pending.empty() &&
        random() % 4 == 0)
      completeOne();
  }
  return hasProgress;
}

bool Cluster::run(uint64_t numInstructions) {
  uint64_t end = counters.warpInstructions + numInstructions;
  while (numLive > 0 && counters.warpInstructions < end) {
    if (launch.hasFault)
      return true;
    if (runRound()) {
      numIdleRounds = 0;
      continue;
    }
    if (!pending.empty()) {
      completeOne();
      numIdleRounds = 0;
    } else if (++numIdleRounds > 100) {
      reportDeadlock();
    }
  }
  if (numLive > 0)
    return false;
  while (!pending.empty())
    completeOne();
  for (Cta &cta : ctas)
    for (Warp &warp : cta.warps) {
      completeCopies(warp, kAllLanes, 0, true);
      completeStores(warp, kAllLanes, 0, true);
    }
  return true;
}
