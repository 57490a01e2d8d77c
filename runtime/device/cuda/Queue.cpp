//===- Queue.cpp - the work of one session on a CUDA device ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cuda/Queue.h"

#include <algorithm>

using namespace moert;
using namespace moert::cuda;

/// The queue that the code on this thread works with.
static thread_local Queue *currentQueue = nullptr;

const char *const Queue::kDeviceError = "error of the device";

/// Of a kernel that is asked for: what the hardware takes.
static constexpr uint64_t kMaxBlocks = 0x7fffffff;

const MoertDevice &Queue::getTable() {
  static const MoertDevice table = {allocate, release, write,   read,  copy,
                                    constant, weights, failure, launch};
  return table;
}

Status Queue::open(std::shared_ptr<Device> device, Fail fail,
                   std::unique_ptr<Queue> &result) {
  std::unique_ptr<Queue> queue(new Queue());
  queue->driver = &device->getDriver();
  queue->device = std::move(device);
  queue->fail = fail;
  Status status = queue->device->use();
  if (!status.ok())
    return status;
  const Driver &driver = *queue->driver;
  Result code = driver.cuStreamCreate(&queue->stream, 0);
  if (code != kSuccess) {
    queue->stream = nullptr;
    return driver.toStatus(code, "create a stream");
  }
  status = queue->allocate(2 * sizeof(uint64_t), queue->record);
  if (!status.ok())
    return status;
  queue->used.erase(queue->record);
  result = std::move(queue);
  return Status();
}

Queue::~Queue() {
  if (!device->use().ok())
    return;
  // What fails here cannot be helped.
  if (stream)
    driver->cuStreamSynchronize(stream);
  releaseAll();
  for (auto [bytes, address] : unused)
    driver->cuMemFree_v2(address);
  if (record)
    driver->cuMemFree_v2(record);
  if (stream)
    driver->cuStreamDestroy_v2(stream);
}

//===----------------------------------------------------------------------===//
// Runs
//===----------------------------------------------------------------------===//

Status Queue::begin() {
  Status status = device->use();
  if (!status.ok())
    return status;
  error = Status();
  currentQueue = this;
  return driver->toStatus(
      driver->cuMemsetD8Async(record, 0, 2 * sizeof(uint64_t), stream),
      "clear the memory of the device");
}

void Queue::end() {
  currentQueue = nullptr;
  driver->cuStreamSynchronize(stream);
  releaseAll();
}

/// Ends the run on an error; true if there is none.
bool Queue::check(Status status) {
  if (status.ok())
    return true;
  error = std::move(status);
  return false;
}

bool Queue::check(Result code, const char *doing) {
  return code == kSuccess || check(driver->toStatus(code, doing));
}

//===----------------------------------------------------------------------===//
// Memory
//===----------------------------------------------------------------------===//

Status Queue::allocate(uint64_t bytes, Address &result) {
  constexpr uint64_t kAlignment = 256;
  bytes = std::max(bytes, uint64_t(1));
  bytes = (bytes + kAlignment - 1) / kAlignment * kAlignment;
  // A block that wastes no more than half of itself.
  auto fits = unused.lower_bound(bytes);
  if (fits != unused.end() && fits->first / 2 <= bytes) {
    result = fits->second;
    used[result] = fits->first;
    unused.erase(fits);
    return Status();
  }
  Result code = driver->cuMemAlloc_v2(&result, bytes);
  if (code == kErrorOutOfMemory && !unused.empty()) {
    // What other shapes have left behind.
    driver->cuStreamSynchronize(stream);
    for (auto [size, address] : unused)
      driver->cuMemFree_v2(address);
    unused.clear();
    code = driver->cuMemAlloc_v2(&result, bytes);
  }
  if (code != kSuccess)
    return driver->toStatus(code, "allocate " + std::to_string(bytes) +
                                      " bytes on the device");
  used[result] = bytes;
  return Status();
}

void Queue::releaseAll() {
  for (auto [address, bytes] : used)
    unused.emplace(bytes, address);
  used.clear();
}

Status Queue::readBack(void *to, Address from, uint64_t bytes) {
  Result code = driver->cuMemcpyDtoHAsync_v2(to, from, bytes, stream);
  if (code == kSuccess)
    code = driver->cuStreamSynchronize(stream);
  return driver->toStatus(code, "read from the device");
}

//===----------------------------------------------------------------------===//
// Functions of code objects. `fail` jumps out of them, so nothing with a
// destructor may be alive when it is called.
//===----------------------------------------------------------------------===//

static Address toAddress(const void *pointer) {
  return reinterpret_cast<Address>(pointer);
}

void *Queue::allocate(uint64_t bytes) {
  Queue &queue = *currentQueue;
  Address address = 0;
  if (!queue.check(queue.allocate(bytes, address)))
    queue.fail(kDeviceError, 0);
  return reinterpret_cast<void *>(address);
}

void Queue::release(void *memory) {
  Queue &queue = *currentQueue;
  auto block = queue.used.find(toAddress(memory));
  if (block == queue.used.end())
    return;
  // Work on the memory that is still to be done is done before what reuses it.
  queue.unused.emplace(block->second, block->first);
  queue.used.erase(block);
}

void Queue::write(void *to, const void *from, uint64_t bytes) {
  Queue &queue = *currentQueue;
  if (bytes == 0)
    return;
  if (!queue.check(queue.driver->cuMemcpyHtoDAsync_v2(toAddress(to), from,
                                                      bytes, queue.stream),
                   "write to the device"))
    queue.fail(kDeviceError, 0);
}

void Queue::read(void *to, const void *from, uint64_t bytes) {
  Queue &queue = *currentQueue;
  uint64_t failure[2];
  if ((bytes && !queue.check(queue.readBack(to, toAddress(from), bytes))) ||
      !queue.check(queue.readBack(failure, queue.record, sizeof(failure))))
    queue.fail(kDeviceError, 0);
  if (failure[0])
    queue.fail(reinterpret_cast<const char *>(failure[0]), failure[1]);
}

void Queue::copy(void *to, const void *from, uint64_t bytes) {
  Queue &queue = *currentQueue;
  if (bytes == 0)
    return;
  if (!queue.check(queue.driver->cuMemcpyDtoDAsync_v2(
                       toAddress(to), toAddress(from), bytes, queue.stream),
                   "copy on the device"))
    queue.fail(kDeviceError, 0);
}

void *Queue::constant(const void *data, uint64_t bytes) {
  Queue &queue = *currentQueue;
  Address address = 0;
  if (!queue.check(queue.device->getConstant(data, bytes, address)))
    queue.fail(kDeviceError, 0);
  return reinterpret_cast<void *>(address);
}

const void *Queue::weights() {
  return reinterpret_cast<const void *>(currentQueue->device->getWeights());
}

void *Queue::failure() {
  return reinterpret_cast<void *>(currentQueue->record);
}

void Queue::launch(const char *name, uint64_t blocks, uint64_t threads,
                   uint64_t shared, void **arguments) {
  Queue &queue = *currentQueue;
  if (blocks == 0)
    return;
  Function kernel = nullptr;
  bool launched =
      queue.check(queue.device->getKernel(name, shared, kernel)) &&
      (blocks <= kMaxBlocks ||
       queue.check(Status(MOE_ERROR_RUN,
                          "expected at most 2^31 - 1 blocks of threads"))) &&
      queue.check(queue.driver->cuLaunchKernel(kernel, blocks, 1, 1, threads, 1,
                                               1, shared, queue.stream,
                                               arguments, nullptr),
                  "launch a kernel");
  if (!launched)
    queue.fail(kDeviceError, 0);
}
