//===- DeviceEntries.cpp - driver entries: device and context -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/driver/Device.h"

#include <cstdio>
#include <cstring>

using namespace emulated;

EMULATED_CUDA_API cuInit(unsigned flags) {
  Entry entry;
  if (flags)
    return CUDA_ERROR_INVALID_VALUE;
  entry.device.isInitialised = true;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuDriverGetVersion(int *version) {
  *version = 13000;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuDeviceGetCount(int *count) {
  EMULATED_ENTER();
  (void)device;
  *count = 1;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuDeviceGet(CUdevice *result, int ordinal) {
  EMULATED_ENTER();
  (void)device;
  if (ordinal != 0)
    return CUDA_ERROR_INVALID_DEVICE;
  *result = 0;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuDeviceGetName(char *name, int length, CUdevice) {
  EMULATED_ENTER();
  snprintf(name, length, "emulated sm_%u", device.architecture);
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuDeviceGetUuid_v2(char *uuid, CUdevice) {
  memset(uuid, 0xe0, 16);
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuDeviceTotalMem_v2(size_t *bytes, CUdevice) {
  EMULATED_ENTER();
  *bytes = device.totalBytes;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuMemGetInfo_v2(size_t *left, size_t *total) {
  EMULATED_ENTER();
  *left = device.totalBytes - device.usedBytes;
  *total = device.totalBytes;
  return CUDA_SUCCESS;
}

/// The numbers are those of CUdevice_attribute.
static int getAttribute(const Device &device, int attribute) {
  unsigned arch = device.architecture;
  switch (attribute) {
  case 1: // Threads of a block.
  case 2:
  case 3:
    return 1024;
  case 4:
    return 64;
  case 5:
    return 2147483647;
  case 6:
  case 7:
    return 65535;
  case 8: // Shared memory of a block without the attribute of the function.
    return 48 * 1024;
  case 9: // Constant memory.
    return 64 * 1024;
  case 10: // Lanes of a warp.
    return kWarpSize;
  case 12: // Registers of a block, of a multiprocessor.
  case 82:
    return 65536;
  case 13: // Clock of the processor and of the memory, in kHz.
  case 36:
    return 1000000;
  case 14:
    return 512;
  case 16: // Multiprocessors.
    return arch >= 100 ? 148 : arch >= 90 ? 132 : 108;
  case 19:  // Maps memory of the host.
  case 31:  // Kernels side by side.
  case 41:  // One address space.
  case 95:  // Cooperative launches.
  case 115: // Memory pools.
    return 1;
  case 37: // Bits of the memory's bus.
    return 5120;
  case 38: // Second level cache.
    return 50 << 20;
  case 39: // Threads of a multiprocessor.
    return 2048;
  case 75:
    return arch / 10;
  case 76:
    return arch % 10;
  case 81: // Shared memory of a multiprocessor.
    return device.getMaxShared() + 1024;
  case 97: // Shared memory of a block with the attribute.
    return device.getMaxShared();
  case 106: // Blocks of a multiprocessor.
    return 32;
  case 111: // Shared memory of a block that the system keeps.
    return 1024;
  case 120: // Clusters.
    return arch >= 90;
  default:
    return 0;
  }
}

EMULATED_CUDA_API cuDeviceGetAttribute(int *value, int attribute, CUdevice) {
  EMULATED_ENTER();
  *value = getAttribute(device, attribute);
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuDeviceComputeCapability(int *major, int *minor, CUdevice) {
  EMULATED_ENTER();
  *major = device.architecture / 10;
  *minor = device.architecture % 10;
  return CUDA_SUCCESS;
}

// There is one context, which all threads share.
static CUcontext getContext() { return &Device::get(); }
static thread_local CUcontext currentContext;

EMULATED_CUDA_API cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
  EMULATED_ENTER();
  (void)device;
  *context = getContext();
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuDevicePrimaryCtxRelease_v2(CUdevice) {
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuDevicePrimaryCtxReset_v2(CUdevice) {
  Entry entry;
  entry.device.stickyError = CUDA_SUCCESS;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuCtxCreate_v2(CUcontext *context, unsigned, CUdevice) {
  EMULATED_ENTER();
  (void)device;
  *context = currentContext = getContext();
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuCtxDestroy_v2(CUcontext) { return CUDA_SUCCESS; }

EMULATED_CUDA_API cuCtxSetCurrent(CUcontext context) {
  if (context && context != getContext())
    return CUDA_ERROR_INVALID_CONTEXT;
  currentContext = context;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuCtxGetCurrent(CUcontext *context) {
  *context = currentContext;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuCtxPushCurrent_v2(CUcontext context) {
  return cuCtxSetCurrent(context);
}

EMULATED_CUDA_API cuCtxPopCurrent_v2(CUcontext *context) {
  if (context)
    *context = currentContext;
  currentContext = nullptr;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuCtxGetDevice(CUdevice *result) {
  *result = 0;
  return currentContext ? CUDA_SUCCESS : CUDA_ERROR_INVALID_CONTEXT;
}

EMULATED_CUDA_API cuCtxSynchronize() {
  EMULATED_ENTER();
  return device.finishAll();
}

namespace {
struct ErrorName {
  CUresult code;
  const char *name, *text;
};
} // namespace

static const ErrorName kErrors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED",
     "initialization error"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE",
     "invalid device ordinal"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT",
     "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX",
     "a PTX compilation failed"},
    {CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE",
     "invalid resource handle"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {CUDA_ERROR_LAUNCH_TIMEOUT, "CUDA_ERROR_LAUNCH_TIMEOUT",
     "the launch timed out and was terminated"},
    {CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS",
     "misaligned address"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED",
     "unspecified launch failure"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED",
     "operation not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
     "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
     "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CUDA_ERROR_UNKNOWN, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

static const ErrorName *findError(CUresult code) {
  for (const ErrorName &error : kErrors)
    if (error.code == code)
      return &error;
  return nullptr;
}

EMULATED_CUDA_API cuGetErrorString(CUresult code, const char **text) {
  const ErrorName *error = findError(code);
  *text = error ? error->text : nullptr;
  return error ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

EMULATED_CUDA_API cuGetErrorName(CUresult code, const char **name) {
  const ErrorName *error = findError(code);
  *name = error ? error->name : nullptr;
  return error ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
