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

Session *HostFunctions::exchangeSession(Session *session) {
  return std::exchange(currentSession, session);
}

const MoertHost &Session::getHost() {
  using Functions = HostFunctions;
  static const MoertHost host = {
      Functions::allocate,       Functions::release, Functions::parallel,
      Functions::fail,           Functions::arena,   Functions::getThreadCount,
      Functions::getThreadIndex, Functions::mark,    Functions::recordRouting,
      Functions::append};
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
