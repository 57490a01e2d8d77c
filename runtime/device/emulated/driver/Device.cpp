//===- Device.cpp - the emulated device -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/driver/Device.h"

#include <cstdlib>
#include <cstring>

using namespace emulated;

Device &Device::get() {
  // Never destroyed: threads may still call while the process ends.
  static Device *const device = new Device();
  return *device;
}

Device::Device() {
  options = Options::fromEnvironment();
  if (const char *text = getenv("MOE_EMULATED_ARCH"))
    architecture = strtoul(text, nullptr, 10);
  totalBytes = 80ull << 30;
  if (const char *text = getenv("MOE_EMULATED_MEMORY"))
    totalBytes = strtoull(text, nullptr, 10);
}

CUresult Device::fail(CUresult code, const std::string &message) {
  report = message;
  if (!getenv("MOE_EMULATED_QUIET"))
    fprintf(stderr, "emulated device: %s\n", message.c_str());
  return code;
}

// Checked allocations lie between bands that belong to no allocation.
static constexpr uint64_t kBand = 4096;

CUresult Device::allocate(uint64_t size, const char *origin,
                          uint64_t &address) {
  if (size == 0)
    return CUDA_ERROR_INVALID_VALUE;
  if (size > totalBytes - usedBytes)
    return fail(CUDA_ERROR_OUT_OF_MEMORY,
                "out of memory: " + std::to_string(size) + " bytes wanted, " +
                    std::to_string(totalBytes - usedBytes) + " of " +
                    std::to_string(totalBytes) + " left");
  uint64_t whole = (size + 511) / 512 * 512 + 2 * kBand;
  void *block = aligned_alloc(512, whole);
  if (!block)
    return fail(CUDA_ERROR_OUT_OF_MEMORY, "out of memory of the host: " +
                                              std::to_string(size) + " bytes");
  if (options.isChecked)
    memset(block, 0xcd, whole);
  address = reinterpret_cast<uint64_t>(block) + kBand;
  memory.add(address, size, origin);
  usedBytes += size;
  return CUDA_SUCCESS;
}

CUresult Device::release(uint64_t address) {
  const MemoryMap::Range *range = memory.findStart(address);
  if (!range)
    return fail(CUDA_ERROR_INVALID_VALUE,
                "no allocation starts at the address that is to be freed");
  usedBytes -= range->size;
  memory.remove(address);
  free(reinterpret_cast<void *>(address - kBand));
  return CUDA_SUCCESS;
}

Stream *Device::getStream(CUstream stream) {
  auto handle = reinterpret_cast<uintptr_t>(stream);
  return handle <= 1 ? &legacyStream : handle == 2 ? &threadStream : stream;
}

CUresult Device::finish(const std::shared_ptr<Work> &work) {
  if (!work || work->isDone)
    return stickyError;
  // A stack of our own: chains of work may be long.
  std::vector<std::shared_ptr<Work>> stack = {work};
  while (!stack.empty()) {
    std::shared_ptr<Work> top = stack.back();
    if (!top->isDone && !top->waits.empty()) {
      std::shared_ptr<Work> next = top->waits.back();
      top->waits.pop_back();
      if (next && !next->isDone)
        stack.push_back(next);
      continue;
    }
    stack.pop_back();
    if (top->isDone)
      continue;
    top->isDone = true;
    if (stickyError == CUDA_SUCCESS)
      stickyError = top->run();
    top->run = nullptr;
  }
  return stickyError;
}

CUresult Device::finishStream(CUstream handle) {
  Stream *stream = getStream(handle);
  if (stream->capture)
    return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
  CUresult result = finish(stream->last);
  stream->last = nullptr;
  return result;
}

CUresult Device::finishAll() {
  for (Stream *stream : streams)
    if (!stream->capture)
      finish(stream->last);
  finish(legacyStream.last);
  finish(threadStream.last);
  return stickyError;
}

CUresult Device::enqueue(CUstream handle, std::function<CUresult()> run) {
  Stream *stream = getStream(handle);
  auto work = std::make_shared<Work>();
  work->run = std::move(run);
  if (stream->capture) {
    work->waits = stream->captureWaits;
    stream->captureWaits = {work};
    stream->capture->nodes.push_back(work);
    return CUDA_SUCCESS;
  }
  if (!isQueueing()) {
    stickyError = work->run();
    // The error shows at the next call, as it does with a device that works on
    // its own.
    return CUDA_SUCCESS;
  }
  if (stream->last)
    work->waits.push_back(stream->last);
  // The default stream waits for the blocking streams and they for it.
  if (stream == &legacyStream) {
    for (Stream *other : streams)
      if (other->isBlocking && !other->capture && other->last)
        work->waits.push_back(other->last);
    if (threadStream.last)
      work->waits.push_back(threadStream.last);
  } else if (stream->isBlocking && legacyStream.last) {
    work->waits.push_back(legacyStream.last);
  }
  stream->last = work;
  return CUDA_SUCCESS;
}
