//===- BackgroundTask.h - work beside the thread of a session --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_BACKGROUNDTASK_H
#define RUNTIME_CORE_BACKGROUNDTASK_H

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace moert {

/// A thread that does one thing at a time, from the first `start` on.
class BackgroundTask {
public:
  explicit BackgroundTask(std::function<void()> work) : work(std::move(work)) {}
  ~BackgroundTask();

  /// Begins to do the work, which is not under way; does it all where the
  /// system has no thread to spare.
  void start();
  /// Returns when it is done, at once if it was never started.
  void wait();

private:
  void run();

  std::function<void()> work;
  std::thread thread;
  std::mutex mutex;
  std::condition_variable changed;
  bool isBusy = false, isEnding = false;
};

} // namespace moert

#endif // RUNTIME_CORE_BACKGROUNDTASK_H
