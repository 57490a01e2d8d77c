//===- Session.h - runs of a program --------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_SESSION_H
#define RUNTIME_CORE_SESSION_H

#include "runtime/core/ExpertExchange.h"
#include "runtime/core/Profiler.h"
#include "runtime/core/Program.h"
#include "runtime/core/RoutingRecorder.h"
#include "runtime/core/StateBuffer.h"
#include "runtime/device/cpu/Allocator.h"
#include "runtime/device/cpu/ThreadPool.h"
#include "runtime/device/cuda/Queue.h"

#include <csetjmp>
#include <deque>

namespace moert {

/// Threads and memory to run a program.
class Session {
public:
  Session(std::shared_ptr<const Program> program, unsigned threads);
  ~Session();

  /// Gets ready to work on the device of the program, if it has one.
  Status openDevice();

  Status run(const moe_input_t *inputs, size_t count);
  Status getOutput(size_t index, moe_tensor_t &result);

  /// Starts to record afresh, or stops.
  Status recordRouting(bool enable);
  Status getRouting(size_t layer, moe_routing_t &result) const;
  Status getRoutingCount(size_t &result) const;
  /// Starts a profile afresh, or stops.
  Status profile(bool enable);
  Status getSpans(const moe_span_t *&spans, size_t &count);
  Status getStatistics(moe_session_statistics_t &result);

  /// The functions that code objects call. They find the session by the thread.
  static const MoertHost &getHost();

private:
  friend struct HostFunctions;

  /// A memref descriptor of any rank: allocated, aligned, offset, sizes,
  /// strides.
  using Descriptor = std::vector<int64_t>;

  struct Output {
    std::vector<int64_t> dims;
    void *memory = nullptr;
    const void *data = nullptr;
  };

  Status bindInputs(const moe_input_t *inputs, size_t count);
  Status callMain();
  Status takeOutputs();
  Status takeOutput(size_t index, Output &result);
  void releaseOutputs(std::vector<Output> &results);
  Status checkIdle() const;

  void recordFailure(const char *message, int64_t value);
  [[noreturn]] void endRun();
  void growArena(uint64_t bytes);

  std::shared_ptr<const Program> program;
  /// Null if the program runs on the CPU.
  std::unique_ptr<cuda::Queue> queue;
  Allocator memory;
  std::atomic<bool> running{false};

  // All as long as the signature; nothing is allocated in a run.
  std::vector<Descriptor> inputDescriptors;
  std::vector<Descriptor> outputDescriptors;
  std::vector<void *> inputPointers;
  std::vector<void *> outputPointers;
  std::vector<const moe_tensor_t *> boundInputs;
  /// The inputs that may be left out: states with a value.
  std::vector<const moe_tensor_t *> defaultInputs;
  std::vector<Output> outputs;
  /// Those of the current run.
  std::vector<Output> newOutputs;
  bool hasOutputs = false;

  std::deque<StateBuffer> states;
  /// The state of each output, or null.
  std::vector<StateBuffer *> outputStates;
  std::mutex stateMutex;

  void *arenaMemory = nullptr;
  uint64_t arenaBytes = 0;

  std::unique_ptr<Profiler> profiler;
  std::unique_ptr<RoutingRecorder> recorder;
  /// Null if the program runs on one rank.
  std::unique_ptr<ExpertExchange> exchange;

  std::jmp_buf endOfRun;
  std::atomic<bool> failed{false};
  std::mutex failureMutex;
  const char *failureMessage = nullptr;
  int64_t failureValue = 0;

  // Last: its threads use the rest.
  ThreadPool threads;
};

} // namespace moert

#endif // RUNTIME_CORE_SESSION_H
