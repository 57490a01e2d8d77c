//===- Session.h - runs of a program --------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_SESSION_H
#define RUNTIME_CORE_SESSION_H

#include "runtime/core/Program.h"
#include "runtime/device/cpu/Allocator.h"
#include "runtime/device/cpu/ThreadPool.h"

#include <csetjmp>

namespace moert {

/// Threads and memory to run a program.
class Session {
public:
  Session(std::shared_ptr<const Program> program, unsigned threads);
  ~Session();

  Status run(const moe_input_t *inputs, size_t count);
  Status getOutput(size_t index, moe_tensor_t &result) const;

  /// The functions that code objects call. They find the session by the thread.
  static const MoertHost &getHost();

private:
  /// A memref descriptor of any rank: allocated, aligned, offset, sizes,
  /// strides.
  using Descriptor = std::vector<int64_t>;

  struct Output {
    std::vector<int64_t> dims;
    void *memory = nullptr;
    const void *data = nullptr;
  };

  static void *allocate(uint64_t bytes);
  static void release(void *memory);
  static void parallel(MoertBody body, void *context, int64_t count,
                       int64_t grain);
  static void fail(const char *message, int64_t value);

  Status bindInputs(const moe_input_t *inputs, size_t count);
  Status callMain();
  Status takeOutputs(std::vector<Output> &results);
  Status takeOutput(size_t index, Output &result);
  void releaseOutputs(std::vector<Output> &results);
  void recordFailure(const char *message, int64_t value);
  [[noreturn]] void endRun();

  std::shared_ptr<const Program> program;
  Allocator memory;
  std::atomic<bool> running{false};

  std::vector<Descriptor> inputDescriptors;
  std::vector<Descriptor> outputDescriptors;
  std::vector<void *> inputPointers;
  std::vector<void *> outputPointers;
  std::vector<Output> outputs;

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
