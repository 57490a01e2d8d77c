//===- Device.h - the emulated device ---------------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_DRIVER_DEVICE_H
#define RUNTIME_DEVICE_EMULATED_DRIVER_DEVICE_H

#include "runtime/device/emulated/driver/Types.h"
#include "runtime/device/emulated/execute/Launch.h"

#include <memory>
#include <set>

namespace emulated {

/// Work of a stream: runs after what it waits for. In the checked mode it runs
/// when the host waits for it and not before, so that an order that the program
/// does not demand is not given.
struct Work {
  std::function<CUresult()> run;
  std::vector<std::shared_ptr<Work>> waits;
  bool isDone = false;
};

/// Work that a stream captured.
struct Graph {
  std::vector<std::shared_ptr<Work>> nodes;
};

struct Stream {
  bool isBlocking = true;
  std::shared_ptr<Work> last;
  /// The graph that captures this stream, and the node that the next one
  /// waits for.
  Graph *capture = nullptr;
  std::vector<std::shared_ptr<Work>> captureWaits;
  bool isCaptureOrigin = false;
};

struct Event {
  std::shared_ptr<Work> recorded;
  /// If the event was recorded in a stream that is captured.
  Graph *capture = nullptr;
};

struct LoadedFunction {
  LoadedModule *module;
  std::unique_ptr<Program> program;
  uint32_t maxDynamicShared = 48 * 1024;
};

struct LoadedModule {
  std::unique_ptr<ptx::Module> module;
  std::map<std::string, std::unique_ptr<LoadedFunction>> functions;
  std::map<const ptx::Variable *, uint64_t> addresses;
};

/// The one device of the process, and all that lives on it.
class Device {
public:
  static Device &get();

  std::recursive_mutex mutex;
  Options options;
  unsigned architecture = 90;
  bool isInitialised = false;
  MemoryMap memory;
  uint64_t totalBytes = 0, usedBytes = 0;
  Stream legacyStream, threadStream;
  std::set<Stream *> streams;
  std::set<LoadedModule *> modules;
  /// Work that ended with an error: later calls return it.
  CUresult stickyError = CUDA_SUCCESS;
  /// What the last error was.
  std::string report;

  CUresult fail(CUresult code, const std::string &message);
  /// Maps the handles 0, 1 and 2 to streams.
  Stream *getStream(CUstream stream);

  CUresult allocate(uint64_t size, const char *origin, uint64_t &address);
  CUresult release(uint64_t address);
  bool isAccessible(uint64_t address, uint64_t size) const {
    return size == 0 || memory.find(address, size);
  }

  // Streams.
  CUresult enqueue(CUstream stream, std::function<CUresult()> run);
  CUresult finish(const std::shared_ptr<Work> &work);
  CUresult finishStream(CUstream stream);
  CUresult finishAll();
  bool isQueueing() const { return options.isChecked; }

  unsigned getMaxShared() const {
    return architecture >= 90 ? 227 * 1024 : 163 * 1024;
  }

private:
  Device();
};

/// Holds the lock of the device for an entry of the interface.
struct Entry {
  Device &device = Device::get();
  std::lock_guard<std::recursive_mutex> lock{device.mutex};
  /// The error that the entry must return at once, or success.
  CUresult check() const {
    return !device.isInitialised ? CUDA_ERROR_NOT_INITIALIZED
                                 : device.stickyError;
  }
};

#define EMULATED_ENTER()                                                       \
  Entry entry;                                                                 \
  Device &device = entry.device;                                               \
  if (CUresult error = entry.check())                                          \
  return error

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_DRIVER_DEVICE_H
