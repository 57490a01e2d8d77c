//===- Library.cpp - the entry points of NCCL ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/nccl/Library.h"

#include <cstdlib>
#include <dlfcn.h>

using namespace moert;
using namespace moert::nccl;

Status Library::open(Library &result) {
  const char *override = std::getenv("MOE_LIBNCCL");
  std::string path = override && *override ? override : "libnccl.so.2";
  void *handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char *reason = dlerror();
    return Status(MOE_ERROR_UNSUPPORTED,
                  "found no NCCL: " + std::string(reason ? reason : path) +
                      "; install it, or use the transport 'mpi'");
  }
  auto resolve = [&](const char *name, auto &entry) {
    entry =
        reinterpret_cast<std::decay_t<decltype(entry)>>(dlsym(handle, name));
    return entry != nullptr;
  };
#define X(name, parameters)                                                    \
  if (!resolve(#name, result.name))                                            \
    return Status(MOE_ERROR_UNSUPPORTED,                                       \
                  "'" + path + "' is too old: it has no '" #name "'");
  MOERT_NCCL_ENTRIES(X)
#undef X
  if (!resolve("ncclGetErrorString", result.ncclGetErrorString))
    return Status(MOE_ERROR_UNSUPPORTED,
                  "'" + path + "' is too old: it has no 'ncclGetErrorString'");
  return Status();
}
