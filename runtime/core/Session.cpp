//===- Session.cpp - runs of a program ------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/Session.h"

#include "runtime/core/BindInputs.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

using namespace moert;

/// The session that the code on this thread works for.
static thread_local Session *currentSession = nullptr;

static constexpr char kOutOfMemory[] = "out of memory";

const MoertHost &Session::getHost() {
  static const MoertHost host = {allocate, release, parallel, fail};
  return host;
}

Session::Session(std::shared_ptr<const Program> sharedProgram,
                 unsigned threadCount)
    : program(std::move(sharedProgram)),
      threads(threadCount, [this] { currentSession = this; }) {
  auto makeDescriptors = [](const std::vector<ValueInfo> &values,
                            std::vector<Descriptor> &descriptors,
                            std::vector<void *> &pointers) {
    for (const ValueInfo &value : values)
      descriptors.emplace_back(3 + 2 * value.dims.size());
    for (Descriptor &descriptor : descriptors)
      pointers.push_back(descriptor.data());
  };
  const Manifest &manifest = program->getManifest();
  makeDescriptors(manifest.inputs, inputDescriptors, inputPointers);
  makeDescriptors(manifest.outputs, outputDescriptors, outputPointers);
}

Session::~Session() { releaseOutputs(outputs); }

//===----------------------------------------------------------------------===//
// Host functions
//===----------------------------------------------------------------------===//

void *Session::allocate(uint64_t bytes) {
  if (void *memory = currentSession->memory.allocate(bytes))
    return memory;
  fail(kOutOfMemory, bytes);
  // Only a parallel body gets here. It cannot be ended and would write to a
  // null pointer, so this is the one error that no status can report.
  std::fputs("moert: out of memory in a parallel loop\n", stderr);
  std::abort();
}

void Session::release(void *memory) { currentSession->memory.release(memory); }

void Session::parallel(MoertBody body, void *context, int64_t count,
                       int64_t grain) {
  Session &session = *currentSession;
  session.threads.parallel(body, context, count, grain);
  if (session.failed.load(std::memory_order_acquire) &&
      !ThreadPool::isInParallel())
    session.endRun();
}

void Session::fail(const char *message, int64_t value) {
  Session &session = *currentSession;
  session.recordFailure(message, value);
  if (!ThreadPool::isInParallel())
    session.endRun();
}

void Session::recordFailure(const char *message, int64_t value) {
  std::lock_guard<std::mutex> lock(failureMutex);
  if (failed.load(std::memory_order_relaxed))
    return;
  failureMessage = message;
  failureValue = value;
  failed.store(true, std::memory_order_release);
}

void Session::endRun() { std::longjmp(endOfRun, 1); }

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

static void setRowMajorStrides(int64_t *strides, const int64_t *dims,
                               size_t rank) {
  int64_t stride = 1;
  for (size_t i = rank; i-- > 0;) {
    strides[i] = stride;
    stride *= dims[i];
  }
}

Status Session::bindInputs(const moe_input_t *inputs, size_t count) {
  std::vector<const moe_tensor_t *> tensors;
  Status status =
      matchInputs(program->getManifest().inputs, inputs, count, tensors);
  if (!status.ok())
    return status;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const moe_tensor_t &tensor = *tensors[i];
    int64_t *descriptor = inputDescriptors[i].data();
    descriptor[0] = descriptor[1] = reinterpret_cast<int64_t>(tensor.data);
    descriptor[2] = 0;
    std::copy_n(tensor.dims, tensor.rank, descriptor + 3);
    setRowMajorStrides(descriptor + 3 + tensor.rank, tensor.dims, tensor.rank);
  }
  return Status();
}

/// Its frame holds nothing that the jump would leave in an unknown state.
__attribute__((noinline)) Status Session::callMain() {
  if (setjmp(endOfRun) == 0) {
    program->getMain()(inputPointers.data(), outputPointers.data());
    return Status();
  }
  if (failureMessage == kOutOfMemory)
    return Status(MOE_ERROR_OUT_OF_MEMORY,
                  "cannot allocate " +
                      std::to_string(static_cast<uint64_t>(failureValue)) +
                      " bytes");
  std::string message = failureMessage;
  if (failureValue != 0)
    message += ", got " + std::to_string(failureValue);
  return Status(MOE_ERROR_RUN, message);
}

namespace {
/// Makes a session the one of this thread until the end of the scope.
struct RunScope {
  RunScope(Session *session, std::atomic<bool> &running)
      : caller(std::exchange(currentSession, session)), running(running) {}
  ~RunScope() {
    currentSession = caller;
    running.store(false, std::memory_order_release);
  }

  Session *caller;
  std::atomic<bool> &running;
};
} // namespace

Status Session::run(const moe_input_t *inputs, size_t count) {
  if (running.exchange(true, std::memory_order_acquire))
    return Status(MOE_ERROR_BUSY, "the session is running in another thread");
  RunScope scope(this, running);
  failed.store(false, std::memory_order_relaxed);

  std::vector<Output> results;
  Status status = bindInputs(inputs, count);
  if (status.ok())
    status = callMain();
  if (status.ok())
    status = takeOutputs(results);
  // Inputs may lie in the outputs of the run before, which go only now.
  releaseOutputs(outputs);
  if (status.ok())
    outputs.swap(results);
  else
    releaseOutputs(results);
  memory.releaseAll();
  return status;
}

Status Session::takeOutputs(std::vector<Output> &results) {
  results.resize(outputDescriptors.size());
  for (size_t i = 0; i < results.size(); ++i) {
    Status status = takeOutput(i, results[i]);
    if (!status.ok())
      return status;
  }
  return Status();
}

/// Copies a strided tensor, dimension by dimension, to consecutive memory.
static char *copyStrided(char *target, const char *source, const int64_t *dims,
                         const int64_t *strides, size_t rank,
                         size_t elementBytes) {
  if (rank == 0) {
    std::memcpy(target, source, elementBytes);
    return target + elementBytes;
  }
  for (int64_t i = 0; i < dims[0]; ++i)
    target = copyStrided(target, source + i * strides[0] * elementBytes,
                         dims + 1, strides + 1, rank - 1, elementBytes);
  return target;
}

Status Session::takeOutput(size_t index, Output &result) {
  const ValueInfo &info = program->getManifest().outputs[index];
  const int64_t *descriptor = outputDescriptors[index].data();
  size_t rank = info.dims.size(), elementBytes = moe_dtype_size(info.dtype);
  result.dims.assign(descriptor + 3, descriptor + 3 + rank);
  const int64_t *strides = descriptor + 3 + rank;
  auto *allocated = reinterpret_cast<void *>(descriptor[0]);
  const char *data = reinterpret_cast<const char *>(descriptor[1]) +
                     descriptor[2] * int64_t(elementBytes);

  uint64_t bytes;
  if (!getByteSize(info.dtype, rank, result.dims.data(), bytes))
    return Status(MOE_ERROR_RUN,
                  "output '" + info.name + "' has the impossible shape " +
                      describe(info.dtype, rank, result.dims.data()));
  std::vector<int64_t> rowMajor(rank);
  setRowMajorStrides(rowMajor.data(), result.dims.data(), rank);
  bool consecutive = true;
  for (size_t i = 0; i < rank; ++i)
    consecutive &= result.dims[i] == 1 || strides[i] == rowMajor[i];
  if ((consecutive || bytes == 0) && memory.isInUse(allocated)) {
    memory.keep(allocated);
    result.memory = allocated;
    result.data = data;
    return Status();
  }
  // An output that shares memory with something else, or has gaps.
  auto *copy = static_cast<char *>(memory.allocate(bytes));
  if (!copy)
    return Status(MOE_ERROR_OUT_OF_MEMORY,
                  "out of memory for output '" + info.name + "'");
  if (bytes)
    copyStrided(copy, data, result.dims.data(), strides, rank, elementBytes);
  memory.keep(copy);
  result.memory = copy;
  result.data = copy;
  return Status();
}

void Session::releaseOutputs(std::vector<Output> &results) {
  for (Output &output : results)
    memory.release(output.memory);
  results.clear();
}

Status Session::getOutput(size_t index, moe_tensor_t &result) const {
  if (running.load(std::memory_order_acquire))
    return Status(MOE_ERROR_BUSY, "the session is running in another thread");
  if (index >= outputs.size())
    return Status(MOE_ERROR_INVALID_ARGUMENT,
                  "expected an output below " + std::to_string(outputs.size()) +
                      ", got " + std::to_string(index) +
                      (outputs.empty() ? "; no run has succeeded" : ""));
  const ValueInfo &info = program->getManifest().outputs[index];
  result.dtype = info.dtype;
  result.rank = outputs[index].dims.size();
  result.dims = outputs[index].dims.data();
  result.data = outputs[index].data;
  return Status();
}
