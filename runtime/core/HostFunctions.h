//===- HostFunctions.h - what code objects call ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_HOSTFUNCTIONS_H
#define RUNTIME_CORE_HOSTFUNCTIONS_H

#include "runtime/core/Session.h"

namespace moert {

/// The functions of MoertHost, for the session of the calling thread.
struct HostFunctions {
  static void *allocate(uint64_t bytes);
  static void release(void *memory);
  static void parallel(MoertBody body, void *context, int64_t count,
                       int64_t grain);
  static void fail(const char *message, int64_t value);
  static void *arena(uint64_t bytes);
  static int64_t getThreadCount();
  static int64_t getThreadIndex();
  static void mark(const char *name);
  static void recordRouting(int64_t layer, const MoertRouting *routing);
  static void append(int64_t input, int64_t output, int64_t axis,
                     int64_t extent, MoertDescriptor *result);
  static int64_t exchangeBegin(int64_t layer, const int32_t *ids,
                               int64_t stride, int64_t tokens, int64_t slots);
  static void exchangeDispatch(int64_t layer, const void *x,
                               int64_t strideBytes, int64_t rowBytes,
                               const float *weights, int64_t weightStride,
                               void *rows, int32_t *ids, float *rowWeights);
  static void exchangeCombine(int64_t layer, const float *sums, int64_t stride,
                              int64_t width, float *result,
                              int64_t resultStride, int64_t isOverlapped);
  static void exchangeWait(int64_t layer);

  /// Makes `session` the one of the calling thread and returns the one before.
  static Session *exchangeSession(Session *session);
  /// The message of failures for want of memory.
  static const char kOutOfMemory[];
  /// That of exchanges, which tell more themselves.
  static const char kExchangeError[];
};

} // namespace moert

#endif // RUNTIME_CORE_HOSTFUNCTIONS_H
