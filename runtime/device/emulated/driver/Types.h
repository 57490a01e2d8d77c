//===- Types.h - the types of the CUDA driver interface ---------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_DRIVER_TYPES_H
#define RUNTIME_DEVICE_EMULATED_DRIVER_TYPES_H

#include <cstddef>
#include <cstdint>

// The layouts and values of the driver's binary interface, as far as the
// emulated device serves it. They are declared here so that no CUDA header is
// needed; a test compares them with cuda.h where it is installed.

namespace emulated {
struct Stream;
struct Event;
struct Graph;
struct LoadedModule;
struct LoadedFunction;
} // namespace emulated

using CUresult = int;
using CUdevice = int;
using CUdeviceptr = unsigned long long;
using CUcontext = void *;
using CUmodule = emulated::LoadedModule *;
using CUfunction = emulated::LoadedFunction *;
using CUstream = emulated::Stream *;
using CUevent = emulated::Event *;
using CUgraph = emulated::Graph *;
using CUgraphExec = emulated::Graph *;

enum : CUresult {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CUDA_ERROR_NOT_INITIALIZED = 3,
  CUDA_ERROR_INVALID_DEVICE = 101,
  CUDA_ERROR_INVALID_CONTEXT = 201,
  CUDA_ERROR_NO_BINARY_FOR_GPU = 209,
  CUDA_ERROR_INVALID_PTX = 218,
  CUDA_ERROR_UNSUPPORTED_PTX_VERSION = 222,
  CUDA_ERROR_INVALID_HANDLE = 400,
  CUDA_ERROR_NOT_FOUND = 500,
  CUDA_ERROR_NOT_READY = 600,
  CUDA_ERROR_ILLEGAL_ADDRESS = 700,
  CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES = 701,
  CUDA_ERROR_LAUNCH_TIMEOUT = 702,
  CUDA_ERROR_MISALIGNED_ADDRESS = 716,
  CUDA_ERROR_LAUNCH_FAILED = 719,
  CUDA_ERROR_NOT_SUPPORTED = 801,
  CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED = 900,
  CUDA_ERROR_STREAM_CAPTURE_INVALIDATED = 901,
  CUDA_ERROR_UNKNOWN = 999,
};

struct CUlaunchAttribute {
  int id;
  char padding[4];
  union {
    char bytes[64];
    struct {
      unsigned x, y, z;
    } clusterDim;
    int cooperative;
  } value;
};

struct CUlaunchConfig {
  unsigned gridDimX, gridDimY, gridDimZ;
  unsigned blockDimX, blockDimY, blockDimZ;
  unsigned sharedMemBytes;
  CUstream hStream;
  CUlaunchAttribute *attrs;
  unsigned numAttrs;
};

/// Of CUlaunchAttribute::id.
enum { CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4 };

#define EMULATED_CUDA_API                                                      \
  extern "C" __attribute__((visibility("default"))) CUresult

#endif // RUNTIME_DEVICE_EMULATED_DRIVER_TYPES_H
