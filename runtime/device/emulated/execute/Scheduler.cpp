//===- Scheduler.cpp - runs the lanes of a warp ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Warp.h"

#include <algorithm>

using namespace emulated;

static void setToken(Warp &warp, Group &group, int32_t token) {
  group.token = token;
  group.reconverge = token < 0 ? -1 : warp.tokens[token].pc;
}

/// If all lanes of `token` have come to its instruction, makes one group of
/// them. Groups may move: no reference to one stays valid.
static void mergeAt(Warp &warp, int32_t token) {
  while (token >= 0) {
    uint32_t arrived = 0;
    for (const Group &group : warp.groups)
      if (group.state == Group::AtReconvergence && group.token == token)
        arrived |= group.mask;
    if (!arrived || arrived != (warp.tokens[token].mask & warp.live))
      return;
    Group merged;
    std::vector<Group> others;
    for (const Group &group : warp.groups) {
      if (group.state == Group::AtReconvergence && group.token == token)
        merged.call = group.call;
      else
        others.push_back(group);
    }
    merged.mask = arrived;
    merged.pc = warp.tokens[token].pc;
    int32_t parent = warp.tokens[token].parent;
    setToken(warp, merged, parent);
    bool isAtParent = parent >= 0 && merged.pc == merged.reconverge;
    if (isAtParent)
      merged.state = Group::AtReconvergence;
    others.push_back(merged);
    warp.groups = std::move(others);
    if (warp.groups.size() == 1 && parent < 0)
      warp.tokens.clear();
    if (!isAtParent)
      return;
    token = parent;
  }
}

/// After a jump: whether the current group now waits for others.
static bool stopsAtReconvergence(Warp &warp) {
  Group &group = warp.getGroup();
  if (group.pc != group.reconverge)
    return false;
  group.state = Group::AtReconvergence;
  mergeAt(warp, group.token);
  return true;
}

/// Splits the current group: `mask` goes to `target`. The lanes meet again at
/// `reconverge`.
static void diverge(Warp &warp, uint32_t mask, int32_t target,
                    int32_t reconverge, int32_t call) {
  Group &group = warp.getGroup();
  if (reconverge == kReconvergeAtReturn)
    reconverge = group.call < 0 ? -1 : warp.calls[group.call].returnPc;
  if (reconverge >= 0 && group.reconverge != reconverge) {
    warp.tokens.push_back({reconverge, group.mask, group.token});
    setToken(warp, group, warp.tokens.size() - 1);
  }
  Group taken = group;
  taken.mask = mask;
  taken.pc = target;
  taken.call = call;
  group.mask &= ~mask;
  ++group.pc;
  for (Group *half : {&taken, &group})
    if (half->pc == half->reconverge)
      half->state = Group::AtReconvergence;
  bool isWaiting = taken.state == Group::AtReconvergence ||
                   group.state == Group::AtReconvergence;
  int32_t token = group.token;
  warp.groups.push_back(taken);
  if (isWaiting)
    mergeAt(warp, token);
}

/// Returns true if the group goes on.
static bool executeBranch(Warp &warp, const Instruction &x, uint32_t mask) {
  Group &group = warp.getGroup();
  if (mask == group.mask) {
    group.pc = x.target;
    return !stopsAtReconvergence(warp);
  }
  diverge(warp, mask, x.target, x.reconverge, group.call);
  return false;
}

/// One target after the other leaves the group.
static bool executeIndexed(Warp &warp, const Instruction &x, uint32_t mask) {
  const std::vector<int32_t> &targets =
      warp.cta->launch->program.targetLists[x.target];
  const uint32_t *indices = warp.word(x.operands[0]);
  uint32_t first = indices[__builtin_ctz(mask)], same = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1)
    same |= uint32_t(indices[__builtin_ctz(rest)] == first)
            << __builtin_ctz(rest);
  if (first >= targets.size())
    warp.fail(FaultKind::IllegalAddress, x, __builtin_ctz(mask),
              "jumps to target " + std::to_string(first) + " of " +
                  std::to_string(targets.size()));
  Group &group = warp.getGroup();
  if (same == group.mask) {
    group.pc = targets[first];
    return !stopsAtReconvergence(warp);
  }
  diverge(warp, same, targets[first], x.reconverge, group.call);
  // The other lanes execute the branch again, unless their guard is off.
  for (Group &other : warp.groups)
    if (other.mask & mask & ~same)
      --other.pc;
  return false;
}

static bool executeCall(Warp &warp, const Instruction &x, uint32_t mask) {
  Group &group = warp.getGroup();
  warp.calls.push_back({group.pc + 1, group.call});
  int32_t call = warp.calls.size() - 1;
  if (mask == group.mask) {
    group.call = call;
    group.pc = x.target;
    return true;
  }
  diverge(warp, mask, x.target, group.pc + 1, call);
  return false;
}

static bool executeReturn(Warp &warp, const Instruction &x, uint32_t mask) {
  Group &group = warp.getGroup();
  CallFrame frame = warp.calls[group.call];
  if (mask == group.mask) {
    group.pc = frame.returnPc;
    group.call = frame.parent;
    if (group.call < 0 && warp.groups.size() == 1)
      warp.calls.clear();
    return !stopsAtReconvergence(warp);
  }
  diverge(warp, mask, frame.returnPc, frame.returnPc, frame.parent);
  return false;
}

static bool executeExit(Warp &warp, uint32_t mask) {
  Cta &cta = *warp.cta;
  warp.live &= ~mask;
  cta.numLive -= __builtin_popcount(mask);
  cta.cluster->numLive -= __builtin_popcount(mask);
  Group &group = warp.getGroup();
  group.mask &= ~mask;
  ++group.pc;
  if (!group.mask)
    warp.groups.erase(warp.groups.begin() + warp.current);
  for (size_t token = 0; token < warp.tokens.size(); ++token)
    mergeAt(warp, token);
  releaseBarriers(cta);
  releaseClusterBarrier(*cta.cluster);
  return false;
}

/// Runs the current group until it stops; returns the number of instructions.
static uint64_t runGroup(Warp &warp, uint64_t limit, uint64_t &laneCount) {
  const Instruction *code = warp.cta->launch->program.code.data();
  uint64_t count = 0;
  while (count < limit) {
    Group &group = warp.getGroup();
    const Instruction &x = code[group.pc];
    uint32_t mask = group.mask;
    if (x.guard >= 0) {
      uint32_t lanes = warp.bank[0][x.guard];
      mask &= x.isGuardNegated ? ~lanes : lanes;
    }
    ++count;
    laneCount += __builtin_popcount(mask);
    bool goesOn = true;
    if (mask == 0) {
      ++group.pc;
      goesOn = group.pc != group.reconverge || !stopsAtReconvergence(warp);
    } else if (x.control == Control::None) {
      x.run(warp, x, mask);
      ++group.pc;
      goesOn = group.pc != group.reconverge || !stopsAtReconvergence(warp);
    } else {
      switch (x.control) {
      case Control::Branch:
        goesOn = executeBranch(warp, x, mask);
        break;
      case Control::BranchIndexed:
        goesOn = executeIndexed(warp, x, mask);
        break;
      case Control::Call:
        goesOn = executeCall(warp, x, mask);
        break;
      case Control::Return:
        goesOn = executeReturn(warp, x, mask);
        break;
      case Control::Exit:
        goesOn = executeExit(warp, mask);
        break;
      default: {
        // The handler may release this group again.
        ++group.pc;
        warp.isStopped = false;
        x.run(warp, x, mask);
        Group &after = warp.getGroup();
        bool isAtToken =
            after.state == Group::Running && after.pc == after.reconverge;
        goesOn = !(isAtToken && stopsAtReconvergence(warp)) && !warp.isStopped;
      }
      }
    }
    if (!goesOn)
      break;
  }
  return count;
}

bool emulated::runWarp(Warp &warp, uint64_t limit) {
  Cluster &cluster = *warp.cta->cluster;
  bool hasProgress = false;
  for (Group &group : warp.groups)
    if (group.state == Group::Polling)
      group.state = Group::Running;
  while (limit > 0 && warp.live) {
    size_t chosen = warp.groups.size(), numRunning = 0;
    for (size_t i = 0; i < warp.groups.size(); ++i) {
      if (warp.groups[i].state != Group::Running)
        continue;
      ++numRunning;
      if (chosen == warp.groups.size() ||
          (cluster.launch.options.seed && cluster.random() % numRunning == 0))
        chosen = i;
    }
    if (!numRunning)
      break;
    // A group that waited for others below a released barrier moves on first.
    warp.current = chosen;
    Group &group = warp.groups[chosen];
    if (group.pc == group.reconverge) {
      stopsAtReconvergence(warp);
      continue;
    }
    // Diverged lanes take turns, since some may wait for others in a loop.
    uint64_t slice =
        warp.groups.size() > 1 ? std::min<uint64_t>(limit, 1 << 14) : limit;
    uint64_t lanes = 0;
    size_t before = warp.groups.size();
    uint64_t count = runGroup(warp, slice, lanes);
    warp.numInstructions += count;
    cluster.counters.warpInstructions += count;
    cluster.counters.laneInstructions += lanes;
    limit -= std::min(limit, count);
    bool isPolling = warp.current < warp.groups.size() &&
                     warp.groups.size() == before &&
                     warp.groups[warp.current].state == Group::Polling;
    hasProgress |= !isPolling;
    // The other groups get their turn.
    if (warp.groups.size() > 1 && count >= slice)
      std::rotate(warp.groups.begin(), warp.groups.begin() + 1,
                  warp.groups.end());
  }
  return hasProgress;
}
