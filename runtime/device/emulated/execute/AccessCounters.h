//===- AccessCounters.h - counts how memory is accessed ---------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_EXECUTE_ACCESSCOUNTERS_H
#define RUNTIME_DEVICE_EMULATED_EXECUTE_ACCESSCOUNTERS_H

#include <cstdint>
#include <map>
#include <string>

namespace emulated {

/// The accesses of one instruction.
struct AccessCount {
  uint64_t requests = 0;
  uint64_t bytes = 0;
  /// Shared memory: passes over the 32 banks of 4 bytes, and how many would do
  /// if no two lanes met in a bank.
  uint64_t wavefronts = 0, idealWavefronts = 0;
  /// Global memory: sectors of 32 bytes.
  uint64_t sectors = 0;
};

/// The accesses of a launch by line of the PTX. The rules are those of the
/// architectures' manuals: lanes that access the same word share it; accesses
/// of 8 bytes are served for half a warp at a time, those of 16 bytes for a
/// quarter.
class AccessCounters {
public:
  void countShared(unsigned line, const uint64_t *addresses, uint32_t mask,
                   unsigned size);
  void countGlobal(unsigned line, const uint64_t *addresses, uint32_t mask,
                   unsigned size);
  void add(const AccessCounters &other);
  /// A JSON object with totals and lines.
  std::string toJson() const;

private:
  std::map<unsigned, AccessCount> lines;
};

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_EXECUTE_ACCESSCOUNTERS_H
