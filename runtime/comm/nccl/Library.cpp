//===- Library.cpp - the entry points of NCCL ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/nccl/Library.h"

#include "runtime/device/cuda/SharedLibrary.h"

#include <cstdlib>

using namespace moert;
using namespace moert::nccl;

Status Library::open(Library &result) {
  const char *override = std::getenv("MOE_LIBNCCL");
  std::string path = override && *override ? override : "libnccl.so.2";
  cuda::SharedLibrary file("NCCL", path,
                           "install it, or use the transport 'mpi'");
#define X(name, parameters) file.resolve(#name, result.name);
  MOERT_NCCL_ENTRIES(X)
#undef X
  file.resolve("ncclGetErrorString", result.ncclGetErrorString);
  return file.getStatus();
}
