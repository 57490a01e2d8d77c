//===- Launch.h - one launch of a kernel ------------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_EXECUTE_LAUNCH_H
#define RUNTIME_DEVICE_EMULATED_EXECUTE_LAUNCH_H

#include "runtime/device/emulated/execute/AccessCounters.h"
#include "runtime/device/emulated/execute/MemoryMap.h"
#include "runtime/device/emulated/program/Program.h"

#include <atomic>
#include <mutex>

namespace emulated {

/// When asynchronous copies complete.
enum class AsyncOrder : uint8_t {
  Early,  ///< as soon as they are issued
  Late,   ///< as late as the program permits
  Random, ///< at any time in between
};

struct Options {
  /// Checks accesses, races and the use of barriers.
  bool isChecked = false;
  /// Counts accesses to memory.
  bool isCounting = false;
  AsyncOrder order = AsyncOrder::Early;
  /// Schedules warps at random if it is not zero.
  uint64_t seed = 0;
  /// Warp instructions that one launch may execute; 0: any number.
  uint64_t instructionLimit = 0;
  unsigned numThreads = 1;

  /// Reads MOE_EMULATED_CHECK, _ORDER, _SEED, _LIMIT and _THREADS.
  static Options fromEnvironment();
};

enum class FaultKind : uint8_t {
  None,
  IllegalAddress,
  Misaligned,
  Trap,
  /// Barriers and other synchronisation used against their rules.
  Synchronisation,
  Uninitialised,
  Race,
  Deadlock,
  /// The limit of instructions.
  Timeout,
};

/// What ends a launch: thrown by handlers, caught by the worker.
struct Fault {
  FaultKind kind;
  std::string message;
};

struct Counters {
  uint64_t warpInstructions = 0;
  uint64_t laneInstructions = 0;
  void add(const Counters &other) {
    warpInstructions += other.warpInstructions;
    laneInstructions += other.laneInstructions;
  }
};

class GlobalChecker;

struct Launch {
  explicit Launch(const Program &program) : program(program) {}

  const Program &program;
  Options options;
  uint32_t grid[3] = {1, 1, 1}, block[3] = {1, 1, 1}, cluster[3] = {1, 1, 1};
  uint32_t dynamicShared = 0;
  alignas(128) uint8_t parameters[8192] = {};
  const MemoryMap *memory = nullptr;
  /// In the checked mode only.
  GlobalChecker *globalChecker = nullptr;

  unsigned getNumThreads() const { return block[0] * block[1] * block[2]; }
  unsigned getNumWarps() const {
    return (getNumThreads() + kWarpSize - 1) / kWarpSize;
  }
  unsigned getClusterSize() const {
    return cluster[0] * cluster[1] * cluster[2];
  }
  uint64_t getNumClusters() const {
    return (uint64_t)grid[0] * grid[1] * grid[2] / getClusterSize();
  }

  /// Runs the kernel to its end on all threads; the first fault ends it.
  void run();

  Fault fault{FaultKind::None, ""};
  Counters counters;
  AccessCounters accesses;
  std::atomic<uint64_t> nextCluster{0};
  std::atomic<bool> hasFault{false};
  std::mutex mutex;
};

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_EXECUTE_LAUNCH_H
