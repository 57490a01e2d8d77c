//===- Miscellaneous.cpp - fences, clocks and the modes of floating point -===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/execute/Warp.h"

#include <chrono>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

using namespace emulated;

void emulated::runWithFloatControl(Lanes &lanes, const Instruction &x,
                                   uint32_t mask) {
#if defined(__SSE2__)
  unsigned before = _mm_getcsr();
  _mm_setcsr(before | x.floatControl);
  x.wrapped(lanes, x, mask);
  _mm_setcsr(before);
#else
  x.wrapped(lanes, x, mask);
#endif
}

void emulated::readClock(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  // Cycles are instructions of the warp; the timer counts nanoseconds.
  bool isTimer = x.statement->operands[1].name[1] == 'g';
  uint64_t now = warp.numInstructions;
  if (isTimer)
    now = std::chrono::steady_clock::now().time_since_epoch().count();
  if (x.flags)
    now >>= 32;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    if (x.results[0].kind == Operand::Wide)
      lanes.wide(x.results[0])[lane] = now;
    else
      lanes.word(x.results[0])[lane] = uint32_t(now);
  }
}

void emulated::fence(Lanes &lanes, const Instruction &x, uint32_t) {
  Warp &warp = static_cast<Warp &>(lanes);
  if (Checker *checker = warp.cta->cluster->checker.get())
    checker->fence(warp, x.flags & 1, x.flags & 2);
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void emulated::doNothing(Lanes &, const Instruction &, uint32_t) {}

void emulated::mapShared(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  const uint32_t *ranks = lanes.word(x.operands[1]);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    bool isWide = x.operands[0].kind == Operand::Wide;
    uint64_t address = isWide ? lanes.wide(x.operands[0])[lane]
                              : lanes.word(x.operands[0])[lane];
    if (ranks[lane] >= warp.cta->cluster->ctas.size())
      warp.fail(FaultKind::IllegalAddress, x, lane,
                "names CTA " + std::to_string(ranks[lane]) +
                    " of a cluster of " +
                    std::to_string(warp.cta->cluster->ctas.size()));
    uint64_t window = address >= kSharedWindow ? kSharedWindow : 0;
    uint64_t offset = (address - window) & ((1u << kClusterRankShift) - 1);
    uint64_t mapped =
        window | uint64_t(ranks[lane] + 1) << kClusterRankShift | offset;
    if (x.results[0].kind == Operand::Wide)
      lanes.wide(x.results[0])[lane] = mapped;
    else
      lanes.word(x.results[0])[lane] = uint32_t(mapped);
  }
}

void emulated::getSharedRank(Lanes &lanes, const Instruction &x,
                             uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    uint64_t address = x.operands[0].kind == Operand::Wide
                           ? lanes.wide(x.operands[0])[lane]
                           : lanes.word(x.operands[0])[lane];
    uint32_t offset;
    lanes.word(x.results[0])[lane] =
        locateShared(warp, x, lane, address, offset).rank;
  }
}
