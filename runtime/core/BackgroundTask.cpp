//===- BackgroundTask.cpp - work beside the thread of a session ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/BackgroundTask.h"

#include <system_error>

using namespace moert;

BackgroundTask::~BackgroundTask() {
  if (!thread.joinable())
    return;
  {
    std::lock_guard<std::mutex> lock(mutex);
    isEnding = true;
  }
  changed.notify_all();
  thread.join();
}

void BackgroundTask::start() {
  try {
    if (!thread.joinable())
      thread = std::thread([this] { run(); });
  } catch (const std::system_error &) {
    return work();
  }
  {
    std::lock_guard<std::mutex> lock(mutex);
    isBusy = true;
  }
  changed.notify_all();
}

void BackgroundTask::wait() {
  std::unique_lock<std::mutex> lock(mutex);
  changed.wait(lock, [this] { return !isBusy; });
}

void BackgroundTask::run() {
  std::unique_lock<std::mutex> lock(mutex);
  while (true) {
    changed.wait(lock, [this] { return isBusy || isEnding; });
    if (!isBusy)
      return;
    lock.unlock();
    work();
    lock.lock();
    isBusy = false;
    changed.notify_all();
  }
}
