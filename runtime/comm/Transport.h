//===- Transport.h - what a library that moves messages exports ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// The binary interface between the runtime and libmoert_NAME.so, which a
// process loads when it is one of several ranks. Plain C. The library exports
//
//   const MoertTransport *moert_transport(void);
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_COMM_TRANSPORT_H
#define RUNTIME_COMM_TRANSPORT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MOERT_TRANSPORT_VERSION 2

/* Functions that can fail return null, or a message that is valid until the
   next call. One call is under way at a time, not always from one thread. */
typedef struct {
  int32_t version;
  /* Joins the ranks that a launcher has started. */
  const char *(*open)(int32_t *rank, int32_t *size);
  /* Sends `count` numbers to each rank, `outgoing[r * count]` and those after
     it to rank r, and receives as many into `incoming[r * count]`. */
  const char *(*exchange_counts)(const int64_t *outgoing, int64_t *incoming,
                                 int32_t count, double timeout);
  /* The same for messages of known sizes. */
  const char *(*exchange)(const void *const *outgoing,
                          const int64_t *outgoing_bytes, void *const *incoming,
                          const int64_t *incoming_bytes, double timeout);
  /* Ends all ranks. May be called while another call is under way, which then
     fails soon. */
  void (*abort)(void);
  /* Leaves, if nothing was aborted: waits for the others. */
  void (*close)(void);
} MoertTransport;

#ifdef __cplusplus
}
#endif

#endif /* RUNTIME_COMM_TRANSPORT_H */
