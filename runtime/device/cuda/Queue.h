//===- Queue.h - the work of one session on a CUDA device -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_CUDA_QUEUE_H
#define RUNTIME_DEVICE_CUDA_QUEUE_H

#include "runtime/core/DeviceInterface.h"
#include "runtime/device/cuda/Device.h"

#include <map>

namespace moert::cuda {

/// A stream with the memory of the buffers of a session. Memory that a run
/// gives back is kept for the next one, so that runs after the first allocate
/// nothing.
class Queue {
public:
  /// `fail` ends the run with a message, as MoertHost::fail does.
  using Fail = void (*)(const char *message, int64_t value);

  static Status open(std::shared_ptr<Device> device, Fail fail,
                     std::unique_ptr<Queue> &result);
  ~Queue();

  /// Makes the queue the one of the calling thread. Ends with `end`.
  Status begin();
  /// Waits for all work and takes back the memory of the run.
  void end();

  /// The message of an error of the device, for a run that failed with
  /// `kDeviceError`.
  const Status &getError() const { return error; }
  static const char *const kDeviceError;

  /// The functions that code objects call. They find the queue by the thread.
  static const MoertDevice &getTable();

private:
  Queue() = default;

  static void *allocate(uint64_t bytes);
  static void release(void *memory);
  static void write(void *to, const void *from, uint64_t bytes);
  static void read(void *to, const void *from, uint64_t bytes);
  static void copy(void *to, const void *from, uint64_t bytes);
  static void *constant(const void *data, uint64_t bytes);
  static const void *weights();
  static void *failure();
  static void launch(const char *name, uint64_t blocks, uint64_t threads,
                     uint64_t shared, void **arguments);

  bool check(Result code, const char *doing);
  bool check(Status status);
  Status allocate(uint64_t bytes, Address &result);
  void releaseAll();
  Status readBack(void *to, Address from, uint64_t bytes);

  std::shared_ptr<Device> device;
  const Driver *driver = nullptr;
  Fail fail = nullptr;
  Stream stream = nullptr;
  /// The record of failures, see MoertDevice::failure.
  Address record = 0;
  /// Sizes of all blocks in use, and blocks by size that are not.
  std::unordered_map<Address, uint64_t> used;
  std::multimap<uint64_t, Address> unused;
  Status error;
};

} // namespace moert::cuda

#endif // RUNTIME_DEVICE_CUDA_QUEUE_H
