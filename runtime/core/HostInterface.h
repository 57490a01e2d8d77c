//===- HostInterface.h - what generated code and the runtime share ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The binary interface between a code object and the runtime that loads it.
// Plain C, included by both sides; the compiler emits the same layout.
//
// A code object is an ELF shared object that exports
//
//   const MoertHost *moert_host;            set by the loader before any call
//   const unsigned char *moert_weights;     set by the loader: weights section
//   void moert_main(void **inputs, void **outputs);
//
// `inputs[i]` and `outputs[i]` point to the memref descriptor of the i-th
// argument and result of the model: MoertDescriptor followed by `rank` sizes
// and `rank` strides, in elements. Inputs are row-major and live until
// moert_main returns. moert_main fills the output descriptors with memory from
// `allocate`, which the runtime releases (an output never aliases an input, a
// weight or another output).
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_HOSTINTERFACE_H
#define RUNTIME_CORE_HOSTINTERFACE_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Version of this interface; a code object states the one that it was built
   for in the manifest of its artifact. */
#define MOERT_HOST_VERSION 1

typedef struct {
  void *allocated;
  void *aligned;
  int64_t offset;
  /* int64_t sizes[rank], strides[rank]; */
} MoertDescriptor;

/* Runs iterations [begin, end) of a parallel loop. */
typedef void (*MoertBody)(void *context, int64_t begin, int64_t end);

typedef struct {
  /* Returns `bytes` bytes aligned to 64; never null (fails the run instead). */
  void *(*allocate)(uint64_t bytes);
  /* Gives back memory from `allocate`. */
  void (*release)(void *memory);
  /* Runs `body` over [0, count) in pieces of at least `grain` iterations on the
     threads of the session and returns when all are done. */
  void (*parallel)(MoertBody body, void *context, int64_t count, int64_t grain);
  /* Records an error of the run; the first one wins. On the thread that called
     moert_main it does not return: the run ends there. In a parallel body it
     returns, the body goes on with in-range values, and the run ends after the
     loop. `message` is a static string; `value` is the offending number. */
  void (*fail)(const char *message, int64_t value);
} MoertHost;

#ifdef __cplusplus
}
#endif

#endif /* RUNTIME_CORE_HOSTINTERFACE_H */
