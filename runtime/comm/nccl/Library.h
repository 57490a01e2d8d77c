//===- Library.h - the entry points of NCCL --------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// NCCL is opened at run time, without its headers. The declarations below are
// those of NCCL 2 (nccl.h); scripts/check-nccl compares them with it.
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_COMM_NCCL_LIBRARY_H
#define RUNTIME_COMM_NCCL_LIBRARY_H

#include "runtime/device/cuda/Driver.h"

namespace moert::nccl {

using Result = int;
using Comm = struct ncclComm *;
struct UniqueId {
  char internal[128];
};

enum : Result { kSuccess = 0, kInProgress = 7 };
enum : int { kInt8 = 0 };

/// X(name, parameters): every entry point that is used.
#define MOERT_NCCL_ENTRIES(X)                                                  \
  X(ncclGetUniqueId, (UniqueId *))                                             \
  X(ncclCommInitRank, (Comm *, int, UniqueId, int))                            \
  X(ncclCommDestroy, (Comm))                                                   \
  X(ncclCommAbort, (Comm))                                                     \
  X(ncclCommGetAsyncError, (Comm, Result *))                                   \
  X(ncclGroupStart, ())                                                        \
  X(ncclGroupEnd, ())                                                          \
  X(ncclSend, (const void *, size_t, int, int, Comm, cuda::Stream))            \
  X(ncclRecv, (void *, size_t, int, int, Comm, cuda::Stream))

/// An open library. It is never closed: it has threads of its own.
struct Library {
#define X(name, parameters) Result(*name) parameters = nullptr;
  MOERT_NCCL_ENTRIES(X)
#undef X
  const char *(*ncclGetErrorString)(Result) = nullptr;

  /// Opens libnccl.so.2, or what MOE_LIBNCCL names.
  static Status open(Library &result);
};

} // namespace moert::nccl

#endif // RUNTIME_COMM_NCCL_LIBRARY_H
