//===- MemoryEntries.cpp - driver entries: memory -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/driver/Device.h"

#include <cstring>

using namespace emulated;

EMULATED_CUDA_API cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
  EMULATED_ENTER();
  uint64_t result;
  if (CUresult error = device.allocate(size, "an allocation", result))
    return error;
  *address = result;
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuMemFree_v2(CUdeviceptr address) {
  Entry entry;
  if (!address)
    return CUDA_SUCCESS;
  // Waits for all work, as the driver does.
  entry.device.finishAll();
  return entry.device.release(address);
}

EMULATED_CUDA_API cuMemAllocAsync(CUdeviceptr *address, size_t size, CUstream) {
  return cuMemAlloc_v2(address, size);
}

EMULATED_CUDA_API cuMemFreeAsync(CUdeviceptr address, CUstream stream) {
  EMULATED_ENTER();
  return device.enqueue(stream,
                        [&device, address] { return device.release(address); });
}

EMULATED_CUDA_API cuMemHostAlloc(void **pointer, size_t size, unsigned) {
  EMULATED_ENTER();
  uint64_t result;
  if (CUresult error = device.allocate(size, "pinned memory", result))
    return error;
  *pointer = reinterpret_cast<void *>(result);
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuMemAllocHost_v2(void **pointer, size_t size) {
  return cuMemHostAlloc(pointer, size, 0);
}

EMULATED_CUDA_API cuMemFreeHost(void *pointer) {
  return cuMemFree_v2(reinterpret_cast<CUdeviceptr>(pointer));
}

EMULATED_CUDA_API cuMemHostGetDevicePointer_v2(CUdeviceptr *address,
                                               void *pointer, unsigned) {
  *address = reinterpret_cast<CUdeviceptr>(pointer);
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuMemHostRegister_v2(void *pointer, size_t size, unsigned) {
  EMULATED_ENTER();
  device.memory.add(reinterpret_cast<uint64_t>(pointer), size,
                    "registered memory of the host");
  return CUDA_SUCCESS;
}

EMULATED_CUDA_API cuMemHostUnregister(void *pointer) {
  Entry entry;
  entry.device.finishAll();
  return entry.device.memory.remove(reinterpret_cast<uint64_t>(pointer))
             ? CUDA_SUCCESS
             : CUDA_ERROR_INVALID_VALUE;
}

/// The addresses are checked when the copy runs: the memory may be freed
/// before.
static CUresult copy(Device &device, const char *what, uint64_t to,
                     uint64_t from, size_t size, bool isToDevice,
                     bool isFromDevice) {
  for (bool isTarget : {true, false}) {
    uint64_t address = isTarget ? to : from;
    bool isOnDevice = isTarget ? isToDevice : isFromDevice;
    if (isOnDevice && !device.isAccessible(address, size))
      return device.fail(CUDA_ERROR_INVALID_VALUE,
                         std::string(what) + " of " + std::to_string(size) +
                             " bytes: the " + (isTarget ? "target" : "source") +
                             " lies " + device.memory.describe(address));
  }
  memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from),
          size);
  return CUDA_SUCCESS;
}

static uint64_t toAddress(const void *pointer) {
  return reinterpret_cast<uint64_t>(pointer);
}

EMULATED_CUDA_API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from,
                                       size_t size, CUstream stream) {
  EMULATED_ENTER();
  // Memory that is not pinned is read before the call returns.
  if (device.isQueueing() && !device.memory.find(toAddress(from), 1)) {
    auto bytes = std::make_shared<std::vector<uint8_t>>(
        static_cast<const uint8_t *>(from),
        static_cast<const uint8_t *>(from) + size);
    return device.enqueue(stream, [&device, to, bytes] {
      return copy(device, "copy to the device", to, toAddress(bytes->data()),
                  bytes->size(), true, false);
    });
  }
  return device.enqueue(stream, [&device, to, from, size] {
    return copy(device, "copy to the device", to, toAddress(from), size, true,
                false);
  });
}

EMULATED_CUDA_API cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size,
                                       CUstream stream) {
  EMULATED_ENTER();
  CUresult result = device.enqueue(stream, [&device, to, from, size] {
    return copy(device, "copy to the host", toAddress(to), from, size, false,
                true);
  });
  // Memory that is not pinned is written before the call returns.
  if (result == CUDA_SUCCESS && device.isQueueing() &&
      !device.memory.find(toAddress(to), 1) &&
      !device.getStream(stream)->capture)
    return device.finishStream(stream);
  return result;
}

EMULATED_CUDA_API cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from,
                                       size_t size, CUstream stream) {
  EMULATED_ENTER();
  return device.enqueue(stream, [&device, to, from, size] {
    return copy(device, "copy on the device", to, from, size, true, true);
  });
}

/// The calls without a stream run in the default one and wait.
static CUresult wait(CUresult result) {
  Entry entry;
  return result ? result : entry.device.finishStream(nullptr);
}

EMULATED_CUDA_API cuMemcpyHtoD_v2(CUdeviceptr to, const void *from,
                                  size_t size) {
  return wait(cuMemcpyHtoDAsync_v2(to, from, size, nullptr));
}

EMULATED_CUDA_API cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t size) {
  return wait(cuMemcpyDtoHAsync_v2(to, from, size, nullptr));
}

EMULATED_CUDA_API cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from,
                                  size_t size) {
  return wait(cuMemcpyDtoDAsync_v2(to, from, size, nullptr));
}

template <typename T>
static CUresult fill(CUdeviceptr to, T value, size_t count, CUstream stream) {
  EMULATED_ENTER();
  if (to % sizeof(T))
    return CUDA_ERROR_INVALID_VALUE;
  return device.enqueue(stream, [&device, to, value, count]() -> CUresult {
    if (!device.isAccessible(to, count * sizeof(T)))
      return device.fail(CUDA_ERROR_INVALID_VALUE,
                         "memset of " + std::to_string(count * sizeof(T)) +
                             " bytes: the target lies " +
                             device.memory.describe(to));
    T *begin = reinterpret_cast<T *>(to);
    std::fill(begin, begin + count, value);
    return CUDA_SUCCESS;
  });
}

EMULATED_CUDA_API cuMemsetD8Async(CUdeviceptr to, unsigned char value,
                                  size_t count, CUstream stream) {
  return fill<uint8_t>(to, value, count, stream);
}

EMULATED_CUDA_API cuMemsetD16Async(CUdeviceptr to, unsigned short value,
                                   size_t count, CUstream stream) {
  return fill<uint16_t>(to, value, count, stream);
}

EMULATED_CUDA_API cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count,
                                   CUstream stream) {
  return fill<uint32_t>(to, value, count, stream);
}

EMULATED_CUDA_API cuMemsetD8_v2(CUdeviceptr to, unsigned char value,
                                size_t count) {
  return wait(cuMemsetD8Async(to, value, count, nullptr));
}

EMULATED_CUDA_API cuMemsetD16_v2(CUdeviceptr to, unsigned short value,
                                 size_t count) {
  return wait(cuMemsetD16Async(to, value, count, nullptr));
}

EMULATED_CUDA_API cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  return wait(cuMemsetD32Async(to, value, count, nullptr));
}
