//===- Profiler.cpp - what a run spends its time on -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/Profiler.h"

#include "runtime/device/cpu/ThreadPool.h"

#include <algorithm>
#include <chrono>

using namespace moert;

/// Nanoseconds of the clock that spans are measured with.
static int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

Profiler::Profiler(size_t threads) : threads(threads) {}

void Profiler::add(const char *name, moe_span_kind_t kind, int64_t thread,
                   int64_t begin, int64_t end) {
  threads[thread].spans.push_back(
      {name, kind, static_cast<uint32_t>(thread), begin, end});
}

void Profiler::beginRun() {
  name = nullptr;
  runBegin = begin = now();
}

void Profiler::mark(const char *next) {
  int64_t time = now();
  if (name)
    add(name, MOE_SPAN_OPERATION, 0, begin, time);
  name = next;
  begin = time;
}

void Profiler::endRun() {
  mark(nullptr);
  add("run", MOE_SPAN_RUN, 0, runBegin, begin);
}

void Profiler::runPiece(void *context, int64_t first, int64_t last) {
  auto &loop = *static_cast<Loop *>(context);
  int64_t start = now();
  loop.body(loop.context, first, last);
  const char *name = loop.profiler.name;
  loop.profiler.add(name ? name : "loop", MOE_SPAN_PIECE,
                    ThreadPool::getThreadIndex(), start, now());
}

const std::vector<moe_span_t> &Profiler::collect() {
  all.clear();
  for (const Spans &thread : threads)
    all.insert(all.end(), thread.spans.begin(), thread.spans.end());
  std::sort(all.begin(), all.end(),
            [](const moe_span_t &a, const moe_span_t &b) {
              if (a.thread != b.thread)
                return a.thread < b.thread;
              // The one around the others comes first.
              return a.begin_ns != b.begin_ns ? a.begin_ns < b.begin_ns
                                              : a.end_ns > b.end_ns;
            });
  return all;
}
