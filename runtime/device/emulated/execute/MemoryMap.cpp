//===- MemoryMap.cpp - the allocations of the device ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/MemoryMap.h"

using namespace emulated;

bool MemoryMap::remove(uint64_t address) {
  auto found = ranges.find(address);
  if (found == ranges.end())
    return false;
  // Enough to explain an access to memory that was freed not long ago.
  if (freed.size() > 4096)
    freed.clear();
  freed.insert(*found);
  ranges.erase(found);
  return true;
}

const std::pair<const uint64_t, MemoryMap::Range> *
MemoryMap::find(uint64_t address, uint64_t size) const {
  auto next = ranges.upper_bound(address);
  if (next == ranges.begin())
    return nullptr;
  auto &range = *--next;
  uint64_t offset = address - range.first;
  bool isInside =
      offset <= range.second.size && size <= range.second.size - offset;
  return isInside ? &range : nullptr;
}

const MemoryMap::Range *MemoryMap::findStart(uint64_t address) const {
  auto found = ranges.find(address);
  return found == ranges.end() ? nullptr : &found->second;
}

std::string MemoryMap::describe(uint64_t address) const {
  auto before = ranges.upper_bound(address);
  auto old = freed.upper_bound(address);
  bool isFreed =
      old != freed.begin() && (--old, address - old->first < old->second.size);
  if (before != ranges.begin()) {
    const Range &range = (--before)->second;
    std::string name = std::string(range.origin) + " of " +
                       std::to_string(range.size) + " bytes";
    if (address - before->first < range.size)
      return "across the end of " + name;
    uint64_t beyond = address - before->first - range.size;
    // Memory near the end is more likely meant than what was there before.
    if (beyond < (isFreed ? 4096 : 1u << 20))
      return std::to_string(beyond) + " bytes beyond the end of " + name;
  }
  if (isFreed)
    return "inside an allocation of " + std::to_string(old->second.size) +
           " bytes that was freed";
  return "in no allocation";
}
