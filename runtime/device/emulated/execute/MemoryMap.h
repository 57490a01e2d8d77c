//===- MemoryMap.h - the allocations of the device --------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_EXECUTE_MEMORYMAP_H
#define RUNTIME_DEVICE_EMULATED_EXECUTE_MEMORYMAP_H

#include <cstdint>
#include <map>
#include <string>

namespace emulated {

/// The memory that kernels may access: addresses of the device are those of
/// the host. Not safe for concurrent changes: the driver holds a lock.
class MemoryMap {
public:
  struct Range {
    uint64_t size;
    /// Where it comes from, for messages.
    const char *origin;
  };

  void add(uint64_t address, uint64_t size, const char *origin) {
    freed.erase(address);
    ranges[address] = {size, origin};
  }
  /// Forgets a range; false if none starts at `address`.
  bool remove(uint64_t address);

  /// The range that holds [address, address + size), or null.
  const std::pair<const uint64_t, Range> *find(uint64_t address,
                                               uint64_t size) const;
  const Range *findStart(uint64_t address) const;
  /// Says what lies at an address that no range holds.
  std::string describe(uint64_t address) const;

private:
  std::map<uint64_t, Range> ranges;
  std::map<uint64_t, Range> freed;
};

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_EXECUTE_MEMORYMAP_H
