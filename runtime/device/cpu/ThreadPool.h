//===- ThreadPool.h - the threads of a session ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_CPU_THREADPOOL_H
#define RUNTIME_DEVICE_CPU_THREADPOOL_H

#include "runtime/core/HostInterface.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace moert {

/// Persistent threads that wait for parallel loops, spinning first and then
/// asleep. One thread at a time submits loops; it takes part in them.
class ThreadPool {
public:
  /// `threads` counts the submitting thread. `atStart` runs first on each of
  /// the others, with its number from 1.
  ThreadPool(unsigned threads, std::function<void(unsigned)> atStart);
  ~ThreadPool();

  /// Runs `body` over [0, count) and returns when all of it is done. A loop
  /// inside a loop runs on the thread that meets it.
  void parallel(MoertBody body, void *context, int64_t count, int64_t grain);

  unsigned getThreadCount() const { return workers.size() + 1; }
  /// True while the calling thread runs the body of a parallel loop.
  static bool isInParallel();
  /// The number of the calling thread in its pool; 0 for a submitting one.
  static int64_t getThreadIndex();
  /// Gives the calling thread another number and returns the one before.
  static int64_t exchangeThreadIndex(int64_t index);

private:
  void work();
  bool join(uint64_t &lastLoop);
  void runPieces();
  void wake();

  // The loop; written by the submitter while no thread has joined it.
  MoertBody body = nullptr;
  void *context = nullptr;
  int64_t count = 0;
  int64_t grain = 1;

  /// The first iteration that nobody has taken.
  alignas(64) std::atomic<int64_t> next{0};
  /// How many threads have joined the loop (bits 0-15), whether more may (bit
  /// 16), and the number of the loop (from bit 17). A thread that wakes up late
  /// finds the loop closed, and the submitter does not wait for it.
  alignas(64) std::atomic<uint64_t> state{0};
  std::atomic<unsigned> sleepers{0};
  std::atomic<bool> stopping{false};
  std::mutex mutex;
  std::condition_variable wakeUp;
  std::vector<std::thread> workers;
};

} // namespace moert

#endif // RUNTIME_DEVICE_CPU_THREADPOOL_H
