//===- ThreadPool.cpp - the threads of a session --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cpu/ThreadPool.h"

#include <algorithm>
#include <chrono>
#include <utility>

using namespace moert;

static constexpr uint64_t kJoinedMask = 0xffff;
static constexpr uint64_t kOpen = 1 << 16;
static constexpr unsigned kLoopShift = 17;
/// A piece is this part of what would be left for each thread: large pieces
/// first cost little, small ones last let all threads finish together.
static constexpr int64_t kShare = 2;
/// How long an idle thread looks for work before it sleeps: longer than the
/// serial stretches between the loops of a model.
static constexpr std::chrono::microseconds kSpinTime(200);

static thread_local bool inParallel = false;
static thread_local int64_t threadIndex = 0;

static void pause() { __builtin_ia32_pause(); }

bool ThreadPool::isInParallel() { return inParallel; }

int64_t ThreadPool::getThreadIndex() { return threadIndex; }

int64_t ThreadPool::exchangeThreadIndex(int64_t index) {
  return std::exchange(threadIndex, index);
}

ThreadPool::ThreadPool(unsigned threads,
                       std::function<void(unsigned)> atStart) {
  threads = std::min<unsigned>(std::max(threads, 1u), kJoinedMask);
  for (unsigned i = 1; i < threads; ++i)
    workers.emplace_back([this, atStart, i] {
      threadIndex = i;
      atStart(i);
      work();
    });
}

ThreadPool::~ThreadPool() {
  stopping.store(true);
  {
    std::lock_guard<std::mutex> lock(mutex);
  }
  wakeUp.notify_all();
  for (std::thread &worker : workers)
    worker.join();
}

void ThreadPool::runPieces() {
  inParallel = true;
  int64_t begin = next.load(std::memory_order_relaxed);
  int64_t threads = getThreadCount();
  while (begin < count) {
    int64_t left = count - begin;
    int64_t piece = std::min(left, std::max(grain, left / (kShare * threads)));
    if (!next.compare_exchange_weak(begin, begin + piece,
                                    std::memory_order_relaxed))
      continue;
    body(context, begin, begin + piece);
    begin = next.load(std::memory_order_relaxed);
  }
  inParallel = false;
}

void ThreadPool::parallel(MoertBody loopBody, void *loopContext,
                          int64_t loopCount, int64_t loopGrain) {
  if (loopCount <= 0)
    return;
  loopGrain = std::max<int64_t>(loopGrain, 1);
  if (inParallel || workers.empty() || loopCount <= loopGrain) {
    bool outer = inParallel;
    inParallel = true;
    loopBody(loopContext, 0, loopCount);
    inParallel = outer;
    return;
  }

  body = loopBody;
  context = loopContext;
  count = loopCount;
  grain = loopGrain;
  next.store(0, std::memory_order_relaxed);
  uint64_t loop = (state.load(std::memory_order_relaxed) >> kLoopShift) + 1;
  // Sequentially consistent, as is the count of sleepers: either this thread
  // sees the sleeper or the sleeper sees the loop.
  state.store(loop << kLoopShift | kOpen);
  wake();

  runPieces();
  state.fetch_and(~kOpen, std::memory_order_acq_rel);
  for (unsigned spins = 0;
       (state.load(std::memory_order_acquire) & kJoinedMask) != 0; ++spins) {
    // With more threads than processors the last worker may not be running.
    if (spins < 4096)
      pause();
    else
      std::this_thread::yield();
  }
}

void ThreadPool::wake() {
  if (sleepers.load() == 0)
    return;
  {
    std::lock_guard<std::mutex> lock(mutex);
  }
  wakeUp.notify_all();
}

/// Takes part in the current loop unless this thread already has.
bool ThreadPool::join(uint64_t &lastLoop) {
  uint64_t seen = state.load(std::memory_order_acquire);
  while ((seen & kOpen) && seen >> kLoopShift != lastLoop) {
    if (!state.compare_exchange_weak(seen, seen + 1, std::memory_order_acq_rel,
                                     std::memory_order_acquire))
      continue;
    lastLoop = seen >> kLoopShift;
    runPieces();
    state.fetch_sub(1, std::memory_order_acq_rel);
    return true;
  }
  return false;
}

void ThreadPool::work() {
  using Clock = std::chrono::steady_clock;
  uint64_t lastLoop = 0;
  while (!stopping.load(std::memory_order_relaxed)) {
    if (join(lastLoop))
      continue;
    Clock::time_point idleSince = Clock::now();
    bool found = false;
    while (!found && !stopping.load(std::memory_order_relaxed) &&
           Clock::now() - idleSince < kSpinTime) {
      for (unsigned i = 0; i < 64 && !found; ++i) {
        pause();
        found = join(lastLoop);
      }
    }
    if (found)
      continue;
    std::unique_lock<std::mutex> lock(mutex);
    sleepers.fetch_add(1);
    wakeUp.wait(lock, [&] {
      uint64_t seen = state.load();
      return stopping.load() ||
             ((seen & kOpen) && seen >> kLoopShift != lastLoop);
    });
    sleepers.fetch_sub(1);
  }
}
