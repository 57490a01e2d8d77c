//===- Driver.h - the entry points of the CUDA driver ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The CUDA driver is opened at run time, so that the runtime needs no CUDA
// where it is built and runs on machines without one. Types and numbers are
// those of the driver API of CUDA 12 (cuda.h); the unit test compares them with
// that header where it is installed.
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_CUDA_DRIVER_H
#define RUNTIME_DEVICE_CUDA_DRIVER_H

#include "runtime/format/Status.h"

#include <cstddef>
#include <cstdint>

namespace moert::cuda {

using Result = int;
using DeviceNumber = int;
using Address = unsigned long long;
using Context = struct CUctx_st *;
using Module = struct CUmod_st *;
using Function = struct CUfunc_st *;
using Stream = struct CUstream_st *;

enum : Result {
  kSuccess = 0,
  kErrorInvalidValue = 1,
  kErrorOutOfMemory = 2,
  kErrorNoDevice = 100,
  kErrorInvalidPTX = 218,
  kErrorNotReady = 600,
  kErrorUnsupportedPTXVersion = 222,
};

enum : int {
  kAttributeMajor = 75,
  kAttributeMinor = 76,
};
enum : int { kMaxDynamicSharedBytes = 8 };
enum : int { kJITErrorBuffer = 5, kJITErrorBufferBytes = 6 };

/// X(name, parameters): every entry point that is used.
#define MOERT_CUDA_ENTRIES(X)                                                  \
  X(cuInit, (unsigned))                                                        \
  X(cuDriverGetVersion, (int *))                                               \
  X(cuDeviceGetCount, (int *))                                                 \
  X(cuDeviceGet, (DeviceNumber *, int))                                        \
  X(cuDeviceGetName, (char *, int, DeviceNumber))                              \
  X(cuDeviceGetAttribute, (int *, int, DeviceNumber))                          \
  X(cuDevicePrimaryCtxRetain, (Context *, DeviceNumber))                       \
  X(cuDevicePrimaryCtxRelease_v2, (DeviceNumber))                              \
  X(cuCtxSetCurrent, (Context))                                                \
  X(cuModuleLoadDataEx, (Module *, const void *, unsigned, int *, void **))    \
  X(cuModuleUnload, (Module))                                                  \
  X(cuModuleGetFunction, (Function *, Module, const char *))                   \
  X(cuFuncSetAttribute, (Function, int, int))                                  \
  X(cuMemAlloc_v2, (Address *, size_t))                                        \
  X(cuMemFree_v2, (Address))                                                   \
  X(cuMemcpyHtoD_v2, (Address, const void *, size_t))                          \
  X(cuMemcpyHtoDAsync_v2, (Address, const void *, size_t, Stream))             \
  X(cuMemcpyDtoHAsync_v2, (void *, Address, size_t, Stream))                   \
  X(cuMemcpyDtoDAsync_v2, (Address, Address, size_t, Stream))                  \
  X(cuMemsetD8Async, (Address, unsigned char, size_t, Stream))                 \
  X(cuStreamCreate, (Stream *, unsigned))                                      \
  X(cuStreamDestroy_v2, (Stream))                                              \
  X(cuStreamQuery, (Stream))                                                   \
  X(cuStreamSynchronize, (Stream))                                             \
  X(cuLaunchKernel, (Function, unsigned, unsigned, unsigned, unsigned,         \
                     unsigned, unsigned, unsigned, Stream, void **, void **))  \
  X(cuGetErrorName, (Result, const char **))                                   \
  X(cuGetErrorString, (Result, const char **))

/// An open driver. It is never closed: the driver has threads of its own.
struct Driver {
#define X(name, parameters) Result(*name) parameters = nullptr;
  MOERT_CUDA_ENTRIES(X)
#undef X

  /// Opens `library` and initialises it.
  static Status open(const std::string &library, Driver &result);

  /// The error of a call that `doing` describes, such as "launch a kernel".
  Status toStatus(Result result, const std::string &doing) const;
};

/// The library of a real device: libcuda.so.1, or what MOE_LIBCUDA names.
std::string getDriverPath();

/// The library of the emulated device, which lies beside the runtime.
std::string getEmulatorPath();

} // namespace moert::cuda

#endif // RUNTIME_DEVICE_CUDA_DRIVER_H
