//===- HostFunctions.cpp - what code objects call -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/HostFunctions.h"

#include <cstdio>
#include <cstdlib>
#include <utility>

using namespace moert;

/// The session that the code on this thread works for.
static thread_local Session *currentSession = nullptr;

const char HostFunctions::kOutOfMemory[] = "out of memory";
const char HostFunctions::kExchangeError[] = "exchange between ranks failed";

Session *HostFunctions::exchangeSession(Session *session) {
  return std::exchange(currentSession, session);
}

const MoertHost &Session::getHost() {
  using Functions = HostFunctions;
  static const MoertHost host = {
      Functions::allocate,        Functions::release,
      Functions::parallel,        Functions::fail,
      Functions::arena,           Functions::getThreadCount,
      Functions::getThreadIndex,  Functions::mark,
      Functions::recordRouting,   Functions::append,
      Functions::exchangeBegin,   Functions::exchangeDispatch,
      Functions::exchangeCombine, Functions::exchangeWait};
  return host;
}

void *HostFunctions::allocate(uint64_t bytes) {
  if (void *memory = currentSession->memory.allocate(bytes))
    return memory;
  fail(kOutOfMemory, bytes);
  // Only a parallel body gets here. It cannot be ended and would write to a
  // null pointer, so this is the one error that no status can report.
  std::fputs("moert: out of memory in a parallel loop\n", stderr);
  std::abort();
}

void HostFunctions::release(void *memory) {
  currentSession->memory.release(memory);
}

void HostFunctions::parallel(MoertBody body, void *context, int64_t count,
                             int64_t grain) {
  Session &session = *currentSession;
  if (!session.profiler || ThreadPool::isInParallel()) {
    session.threads.parallel(body, context, count, grain);
  } else {
    Profiler::Loop loop = {*session.profiler, body, context};
    session.threads.parallel(Profiler::runPiece, &loop, count, grain);
  }
  if (session.failed.load(std::memory_order_acquire) &&
      !ThreadPool::isInParallel())
    session.endRun();
}

void HostFunctions::fail(const char *message, int64_t value) {
  Session &session = *currentSession;
  session.recordFailure(message, value);
  if (!ThreadPool::isInParallel())
    session.endRun();
}

void *HostFunctions::arena(uint64_t bytes) {
  Session &session = *currentSession;
  if (bytes > session.arenaBytes || !session.arenaMemory)
    session.growArena(bytes);
  if (!session.arenaMemory)
    fail(kOutOfMemory, bytes);
  return session.arenaMemory;
}

int64_t HostFunctions::getThreadCount() {
  return currentSession->threads.getThreadCount();
}

int64_t HostFunctions::getThreadIndex() { return ThreadPool::getThreadIndex(); }

void HostFunctions::mark(const char *name) {
  if (Profiler *profiler = currentSession->profiler.get())
    profiler->mark(name);
}

void HostFunctions::recordRouting(int64_t layer, const MoertRouting *routing) {
  if (RoutingRecorder *recorder = currentSession->recorder.get())
    recorder->record(layer, *routing);
}

void HostFunctions::append(int64_t input, int64_t output, int64_t axis,
                           int64_t extent, MoertDescriptor *result) {
  Session &session = *currentSession;
  StateBuffer *state = session.outputStates[output];
  const moe_tensor_t &past = *session.boundInputs[input];
  bool continued = &past == &state->getInput();
  (void)axis; // As the manifest says.
  if (!state->append(past, continued, extent, result))
    fail(kOutOfMemory, extent);
}

// Only code for several ranks calls these, and its sessions have an exchange.

int64_t HostFunctions::exchangeBegin(int64_t layer, const int32_t *ids,
                                     int64_t stride, int64_t tokens,
                                     int64_t slots) {
  int64_t count = 0;
  if (!currentSession->exchange->begin(layer, ids, stride, tokens, slots,
                                       count))
    fail(kExchangeError, 0);
  return count;
}

void HostFunctions::exchangeDispatch(int64_t, const void *x,
                                     int64_t strideBytes, int64_t rowBytes,
                                     const float *weights, int64_t weightStride,
                                     void *rows, int32_t *ids,
                                     float *rowWeights) {
  if (!currentSession->exchange->dispatch(x, strideBytes, rowBytes, weights,
                                          weightStride, rows, ids, rowWeights))
    fail(kExchangeError, 0);
}

void HostFunctions::exchangeCombine(int64_t, const float *sums, int64_t stride,
                                    int64_t width, float *result,
                                    int64_t resultStride,
                                    int64_t isOverlapped) {
  if (!currentSession->exchange->combine(sums, stride, width, result,
                                         resultStride, isOverlapped != 0))
    fail(kExchangeError, 0);
}

void HostFunctions::exchangeWait(int64_t) {
  if (!currentSession->exchange->wait())
    fail(kExchangeError, 0);
}
