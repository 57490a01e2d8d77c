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
// weight or another output); it leaves those alone that come from `append`.
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
#define MOERT_HOST_VERSION 4

typedef struct {
  void *allocated;
  void *aligned;
  int64_t offset;
  /* int64_t sizes[rank], strides[rank]; */
} MoertDescriptor;

/* Runs iterations [begin, end) of a parallel loop. */
typedef void (*MoertBody)(void *context, int64_t begin, int64_t end);

/* The choices of a router: `slots` experts, of `experts`, and their weights for
   each of `tokens` tokens, both row-major. */
typedef struct {
  int64_t tokens, slots, experts;
  const void *ids;
  const void *weights;
  /* Bits of an id (32 or 64) and of a weight; a weight of 16 bits is f16 or,
     with `bf16`, bf16. */
  int32_t id_bits, weight_bits, bf16;
} MoertRouting;

/* The functions are called on the thread that called moert_main; those marked
   (any) by the body of a parallel loop, too. None is null. */
typedef struct {
  /* Returns `bytes` bytes aligned to 64; never null (fails the run instead).
     (any) */
  void *(*allocate)(uint64_t bytes);
  /* Gives back memory from `allocate`; ignores null. (any) */
  void (*release)(void *memory);
  /* Runs `body` over [0, count) in pieces of at least `grain` iterations on the
     threads of the session and returns when all are done. (any: inside a loop
     it runs on the thread that meets it) */
  void (*parallel)(MoertBody body, void *context, int64_t count, int64_t grain);
  /* Records an error of the run; the first one wins. On the thread that called
     moert_main it does not return: the run ends there. In a parallel body it
     returns, the body goes on with in-range values, and the run ends after the
     loop. `message` is a static string; `value` is the offending number. (any)
   */
  void (*fail)(const char *message, int64_t value);
  /* The memory of a static plan: at least `bytes` bytes aligned to 64, the same
     at every call of the session until a call asks for more, which drops what
     it held. Never null (fails the run instead). */
  void *(*arena)(uint64_t bytes);
  /* The number of threads that run parallel loops, the calling one included,
     and the number of the calling one, below that: for scratch memory of each
     thread. Neither changes while a session lives. (any) */
  int64_t (*thread_count)(void);
  int64_t (*thread_index)(void);
  /* What follows, up to the next mark or the end of the run, belongs to the
     operation `name`, a static string; for profiles. */
  void (*mark)(const char *name);
  /* Tells what the router of expert layer `layer` (from 0, in the order of
     'experts.layers' in the manifest) has chosen; for recordings. */
  void (*record_routing)(int64_t layer, const MoertRouting *routing);
  /* Makes output `output`: input `input` with room for `extent` more entries
     along dimension `axis`. Writes a descriptor whose first entries hold those
     of the input, while the code has to write the others; `allocated` is null,
     there may be gaps between rows, and the innermost stride is 1. A session
     that keeps the output as the input of its next run finds the memory there
     and copies nothing. Fails the run if there is no memory. */
  void (*append)(int64_t input, int64_t output, int64_t axis, int64_t extent,
                 MoertDescriptor *result);
  /* Exchanges between ranks, which all ranks call in the same order; see
     dialects/moe/ExchangeOps.td. `layer` counts as in record_routing; the
     manifest has its placement. Strides and widths are in elements unless they
     say bytes. Fail the run if another rank fails or does not answer.

     Takes the experts of all tokens, tokens x slots; returns the number of rows
     that this rank gets. `ids` must live until exchange_dispatch. */
  int64_t (*exchange_begin)(int64_t layer, const int32_t *ids, int64_t stride,
                            int64_t tokens, int64_t slots);
  /* Sends rows of x and their weights; writes what this rank gets, row by row
     without gaps. */
  void (*exchange_dispatch)(int64_t layer, const void *x, int64_t stride_bytes,
                            int64_t row_bytes, const float *weights,
                            int64_t weight_stride, void *rows, int32_t *ids,
                            float *row_weights);
  /* Returns sums to the owners of the tokens; writes the result of all tokens.
     If `is_overlapped`, that goes on after the return, until exchange_wait
     returns, which comes before any other exchange. */
  void (*exchange_combine)(int64_t layer, const float *sums, int64_t stride,
                           int64_t width, float *result, int64_t result_stride,
                           int64_t is_overlapped);
  void (*exchange_wait)(int64_t layer);
} MoertHost;

#ifdef __cplusplus
}
#endif

#endif /* RUNTIME_CORE_HOSTINTERFACE_H */
