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
#define EMULATED_VALUE(NAME, NUMBER) NAME = NUMBER,
#include "runtime/device/emulated/driver/Values.def"
#undef EMULATED_VALUE
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

static_assert(sizeof(CUlaunchAttribute) == 72 && sizeof(CUlaunchConfig) == 56,
              "the layout of the driver's interface");

#define EMULATED_CUDA_API                                                      \
  extern "C" __attribute__((visibility("default"))) CUresult

#endif // RUNTIME_DEVICE_EMULATED_DRIVER_TYPES_H
