//===- Session.cpp - runs of a program ------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/Session.h"

#include "runtime/core/BindInputs.h"
#include "runtime/core/HostFunctions.h"

#include <cstring>

using namespace moert;

Session::Session(std::shared_ptr<const Program> sharedProgram,
                 unsigned threadCount)
    : program(std::move(sharedProgram)), threads(threadCount, [this](unsigned) {
        HostFunctions::exchangeSession(this);
      }) {
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
  boundInputs.resize(manifest.inputs.size());
  defaultInputs.resize(manifest.inputs.size());
  outputs.resize(manifest.outputs.size());
  newOutputs.resize(manifest.outputs.size());
  outputStates.resize(manifest.outputs.size());
  if (const std::shared_ptr<Communicator> &ranks = program->getCommunicator())
    exchange = std::make_unique<ExpertExchange>(ranks, manifest.layout,
                                                manifest.placements);
  if (program->getDevice())
    return; // Code for devices returns states like other outputs.
  for (const StateInfo &state : manifest.states)
    outputStates[state.output] =
        &states.emplace_back(manifest.inputs[state.input], state.axis, memory);
}

Session::~Session() {
  releaseOutputs(outputs);
  states.clear();
  memory.release(arenaMemory);
}

Status Session::openDevice() {
  if (!program->getDevice())
    return Status();
  return cuda::Queue::open(program->getDevice(), HostFunctions::fail, queue);
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

void Session::growArena(uint64_t bytes) {
  memory.release(arenaMemory);
  arenaMemory = memory.allocate(bytes);
  arenaBytes = arenaMemory ? bytes : 0;
  if (arenaMemory)
    memory.keep(arenaMemory);
}

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
  Status status = matchInputs(program->getManifest().inputs, inputs, count,
                              boundInputs, defaultInputs.data());
  if (!status.ok())
    return status;
  for (size_t i = 0; i < boundInputs.size(); ++i) {
    const moe_tensor_t &tensor = *boundInputs[i];
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
  if (profiler)
    profiler->beginRun();
  if (setjmp(endOfRun) == 0) {
    program->getMain()(inputPointers.data(), outputPointers.data());
    if (profiler)
      profiler->endRun();
    return Status();
  }
  if (profiler)
    profiler->endRun();
  // The other ranks would wait for what this one no longer sends.
  if (exchange)
    exchange->fail();
  if (failureMessage == HostFunctions::kExchangeError)
    return Status(MOE_ERROR_RUN, exchange->getError());
  if (failureMessage == HostFunctions::kOutOfMemory)
    return Status(MOE_ERROR_OUT_OF_MEMORY,
                  "cannot allocate " +
                      std::to_string(static_cast<uint64_t>(failureValue)) +
                      " bytes");
  if (failureMessage == cuda::Queue::kDeviceError)
    return queue->getError();
  std::string message = failureMessage;
  if (failureValue != 0)
    message += ", got " + std::to_string(failureValue);
  return Status(MOE_ERROR_RUN, message);
}

namespace {
/// Makes a session the one of this thread until the end of the scope.
struct RunScope {
  RunScope(Session *session, std::atomic<bool> &running)
      : caller(HostFunctions::exchangeSession(session)),
        thread(ThreadPool::exchangeThreadIndex(0)), running(running) {}
  ~RunScope() {
    HostFunctions::exchangeSession(caller);
    ThreadPool::exchangeThreadIndex(thread);
    running.store(false, std::memory_order_release);
  }

  Session *caller;
  int64_t thread;
  std::atomic<bool> &running;
};
} // namespace

Status Session::run(const moe_input_t *inputs, size_t count) {
  if (running.exchange(true, std::memory_order_acquire))
    return Status(MOE_ERROR_BUSY, "the session is running in another thread");
  RunScope scope(this, running);
  failed.store(false, std::memory_order_relaxed);

  Status status = bindInputs(inputs, count);
  if (status.ok() && queue)
    status = queue->begin();
  if (status.ok())
    status = callMain();
  if (queue)
    queue->end();
  if (status.ok())
    status = takeOutputs();
  // Inputs may lie in the outputs of the run before, which go only now.
  releaseOutputs(outputs);
  hasOutputs = status.ok();
  if (hasOutputs)
    outputs.swap(newOutputs);
  else
    releaseOutputs(newOutputs);
  for (StateBuffer &state : states)
    hasOutputs ? state.commit() : state.rollBack();
  for (const StateInfo &info : program->getManifest().states)
    if (outputStates[info.output] && outputStates[info.output]->hasValue())
      defaultInputs[info.input] = &outputStates[info.output]->getInput();
  memory.releaseAll();
  return status;
}

Status Session::takeOutputs() {
  for (size_t i = 0; i < newOutputs.size(); ++i) {
    if (outputStates[i])
      continue;
    Status status = takeOutput(i, newOutputs[i]);
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
  bool consecutive = true;
  int64_t stride = 1;
  for (size_t i = rank; i-- > 0;) {
    consecutive &= result.dims[i] == 1 || strides[i] == stride;
    stride *= result.dims[i];
  }
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
  for (Output &output : results) {
    memory.release(output.memory);
    output.memory = nullptr;
  }
}

//===----------------------------------------------------------------------===//
// What a run leaves
//===----------------------------------------------------------------------===//

Status Session::checkIdle() const {
  if (running.load(std::memory_order_acquire))
    return Status(MOE_ERROR_BUSY, "the session is running in another thread");
  return Status();
}

Status Session::getOutput(size_t index, moe_tensor_t &result) {
  Status status = checkIdle();
  if (!status.ok())
    return status;
  size_t count = hasOutputs ? outputs.size() : 0;
  if (index >= count)
    return Status(MOE_ERROR_INVALID_ARGUMENT,
                  "expected an output below " + std::to_string(count) +
                      ", got " + std::to_string(index) +
                      (hasOutputs ? "" : "; no run has succeeded"));
  const ValueInfo &info = program->getManifest().outputs[index];
  if (StateBuffer *state = outputStates[index]) {
    std::lock_guard<std::mutex> lock(stateMutex);
    if (!state->getTensor(result))
      return Status(MOE_ERROR_OUT_OF_MEMORY,
                    "out of memory for output '" + info.name + "'");
    return Status();
  }
  result.dtype = info.dtype;
  result.rank = outputs[index].dims.size();
  result.dims = outputs[index].dims.data();
  result.data = outputs[index].data;
  return Status();
}

Status Session::recordRouting(bool enable) {
  Status status = checkIdle();
  if (status.ok())
    recorder = enable ? std::make_unique<RoutingRecorder>() : nullptr;
  return status;
}

Status Session::getRoutingCount(size_t &result) const {
  Status status = checkIdle();
  if (status.ok())
    result = recorder ? recorder->getLayerCount() : 0;
  return status;
}

Status Session::getRouting(size_t layer, moe_routing_t &result) const {
  size_t count = 0;
  Status status = getRoutingCount(count);
  if (!status.ok())
    return status;
  if (layer >= count)
    return Status(MOE_ERROR_INVALID_ARGUMENT,
                  "expected an expert layer below " + std::to_string(count) +
                      ", got " + std::to_string(layer) +
                      (recorder ? "" : "; nothing is recorded"));
  result = recorder->getLayer(layer);
  return Status();
}

Status Session::profile(bool enable) {
  Status status = checkIdle();
  if (status.ok())
    profiler =
        enable ? std::make_unique<Profiler>(threads.getThreadCount()) : nullptr;
  return status;
}

Status Session::getSpans(const moe_span_t *&spans, size_t &count) {
  Status status = checkIdle();
  if (!status.ok())
    return status;
  spans = nullptr;
  count = 0;
  if (profiler) {
    const std::vector<moe_span_t> &all = profiler->collect();
    spans = all.data();
    count = all.size();
  }
  return Status();
}

Status Session::getStatistics(moe_session_statistics_t &result) {
  Status status = checkIdle();
  if (!status.ok())
    return status;
  result.system_allocations = memory.getSystemCalls();
  result.arena_bytes = arenaBytes;
  result.state_bytes_copied = 0;
  for (const StateBuffer &state : states)
    result.state_bytes_copied += state.getBytesCopied();
  return Status();
}
