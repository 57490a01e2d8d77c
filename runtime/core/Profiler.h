//===- Profiler.h - what a run spends its time on -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_PROFILER_H
#define RUNTIME_CORE_PROFILER_H

#include "runtime/core/HostInterface.h"
#include "runtime/moe_runtime.h"

#include <vector>

namespace moert {

/// Spans of time of the threads of a session. The submitting thread has one
/// span for each mark, the threads have one for each piece of a parallel loop.
class Profiler {
public:
  explicit Profiler(size_t threads);

  /// A run begins or ends on the submitting thread.
  void beginRun();
  void endRun();
  /// Ends the operation before and begins `name`.
  void mark(const char *name);

  /// A parallel loop whose pieces are timed.
  struct Loop {
    Profiler &profiler;
    MoertBody body;
    void *context;
  };
  /// The body of a `Loop`, to run instead of its own.
  static void runPiece(void *loop, int64_t begin, int64_t end);

  /// All spans, by thread and begin. No run may be going on.
  const std::vector<moe_span_t> &collect();

private:
  void add(const char *name, moe_span_kind_t kind, int64_t thread,
           int64_t begin, int64_t end);

  // Set by the submitting thread outside of parallel loops only.
  const char *name = nullptr;
  int64_t begin = 0;
  int64_t runBegin = 0;

  /// Each written by its thread, on cache lines of its own.
  struct alignas(64) Spans {
    std::vector<moe_span_t> spans;
  };
  std::vector<Spans> threads;
  std::vector<moe_span_t> all;
};

} // namespace moert

#endif // RUNTIME_CORE_PROFILER_H
