//===- Launch.cpp - runs the clusters of a launch on all threads ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Launch.h"

#include "runtime/device/emulated/check/GlobalChecker.h"
#include "runtime/device/emulated/execute/Warp.h"

#include <cstdlib>
#include <cstring>
#include <thread>

using namespace emulated;

static uint64_t readNumber(const char *name, uint64_t otherwise) {
  const char *text = getenv(name);
  return text && *text ? strtoull(text, nullptr, 10) : otherwise;
}

Options Options::fromEnvironment() {
  Options options;
  options.isChecked = readNumber("MOE_EMULATED_CHECK", 0);
  options.order = options.isChecked ? AsyncOrder::Late : AsyncOrder::Early;
  options.isCounting = getenv("MOE_EMULATED_REPORT");
  if (const char *order = getenv("MOE_EMULATED_ORDER")) {
    if (!strcmp(order, "early"))
      options.order = AsyncOrder::Early;
    else if (!strcmp(order, "late"))
      options.order = AsyncOrder::Late;
    else if (!strcmp(order, "random"))
      options.order = AsyncOrder::Random;
  }
  options.seed = readNumber("MOE_EMULATED_SEED", 0);
  options.instructionLimit = readNumber("MOE_EMULATED_LIMIT", 0);
  unsigned numProcessors = std::thread::hardware_concurrency();
  options.numThreads =
      readNumber("MOE_EMULATED_THREADS", numProcessors ? numProcessors : 1);
  return options;
}

namespace {

/// Takes clusters in turn. A cluster that runs long makes room for others, for
/// which it may wait.
class Worker {
public:
  explicit Worker(Launch &launch) : launch(launch) {}

  void run() {
    try {
      while (!launch.hasFault && step())
        ;
    } catch (Fault &fault) {
      std::lock_guard<std::mutex> lock(launch.mutex);
      if (!launch.hasFault.exchange(true))
        launch.fault = std::move(fault);
    }
    for (const auto &cluster : resident)
      counters.add(cluster->counters);
    std::lock_guard<std::mutex> lock(launch.mutex);
    launch.counters.add(counters);
    launch.accesses.add(accesses);
  }

private:
  static constexpr uint64_t kTurn = 1 << 20;
  static constexpr size_t kMaxResident = 512;

  bool step() {
    if (resident.empty() || isTurnOver) {
      isTurnOver = false;
      uint64_t index = launch.nextCluster;
      if (resident.size() < kMaxResident && index < launch.getNumClusters())
        index = launch.nextCluster++;
      if (resident.size() < kMaxResident && index < launch.getNumClusters())
        resident.push_front(std::make_unique<Cluster>(launch, index));
    }
    if (resident.empty())
      return false;
    Cluster &cluster = *resident.front();
    uint64_t before = cluster.counters.warpInstructions;
    bool isDone = cluster.run(kTurn);
    numExecuted += cluster.counters.warpInstructions - before;
    if (launch.options.instructionLimit &&
        numExecuted > launch.options.instructionLimit)
      throw Fault{FaultKind::Timeout,
                  "kernel '" + launch.program.name +
                      "' has executed more than " +
                      std::to_string(launch.options.instructionLimit) +
                      " warp instructions (MOE_EMULATED_LIMIT)"};
    if (isDone) {
      counters.add(cluster.counters);
      accesses.add(cluster.accesses);
      resident.pop_front();
      return true;
    }
    resident.push_back(std::move(resident.front()));
    resident.pop_front();
    isTurnOver = true;
    return true;
  }

  Launch &launch;
  std::deque<std::unique_ptr<Cluster>> resident;
  Counters counters;
  AccessCounters accesses;
  uint64_t numExecuted = 0;
  bool isTurnOver = false;
};

} // namespace

void Launch::run() {
  GlobalChecker checker;
  if (options.isChecked)
    globalChecker = &checker;
  uint64_t numWorkers =
      std::min<uint64_t>(options.numThreads, getNumClusters());
  // Starting a thread costs more than a small kernel.
  uint64_t numThreadsInAll =
      getNumClusters() * getClusterSize() * getNumThreads();
  if (numThreadsInAll < 2048)
    numWorkers = 1;
  std::vector<std::thread> threads;
  for (uint64_t i = 1; i < numWorkers; ++i)
    threads.emplace_back([this] { Worker(*this).run(); });
  Worker(*this).run();
  for (std::thread &thread : threads)
    thread.join();
}
