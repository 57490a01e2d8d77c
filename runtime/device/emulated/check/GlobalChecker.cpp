//===- GlobalChecker.cpp - finds unordered accesses to global memory ------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/check/GlobalChecker.h"

using namespace emulated;

bool GlobalChecker::isOrdered(const GlobalAccess &before,
                              const GlobalAccess &mine,
                              const VectorClock &seen) const {
  if (!before.instruction || (before.isAtomic && mine.isAtomic))
    return true;
  if (before.cluster == mine.cluster)
    return before.warp == mine.warp || before.time <= seen.get(before.warp);
  auto found = acquired.find(mine.cluster);
  return found != acquired.end() && found->second.count(before.cluster);
}

GlobalAccess GlobalChecker::access(uint64_t address, uint32_t size,
                                   const GlobalAccess &mine,
                                   const VectorClock &seen) {
  std::lock_guard<std::mutex> lock(mutex);
  for (uint64_t index = address / 4; index * 4 < address + size; ++index) {
    std::unique_ptr<Page> &page = pages[index / kPageWords];
    if (!page)
      page = std::make_unique<Page>();
    Word &word = (*page)[index % kPageWords];
    // Parts of a word are not told apart.
    bool isWhole = address <= index * 4 && index * 4 + 4 <= address + size;
    if (isWhole && !isOrdered(word.write, mine, seen))
      return word.write;
    if (isWhole && mine.isWrite && !isOrdered(word.read, mine, seen))
      return word.read;
    if (isWhole)
      (mine.isWrite ? word.write : word.read) = mine;
  }
  return GlobalAccess();
}

void GlobalChecker::handOn(uint64_t address, uint64_t cluster,
                           Knowledge &knowledge, const Knowledge &mine) {
  std::lock_guard<std::mutex> lock(mutex);
  Published &place = published[address / 4];
  std::set<uint64_t> &mineAcquired = acquired[cluster];
  mineAcquired.insert(place.clusters.begin(), place.clusters.end());
  place.clusters.insert(mineAcquired.begin(), mineAcquired.end());
  place.clusters.insert(cluster);
  Knowledge &own = place.byCluster[cluster];
  Knowledge before = own;
  own.join(mine);
  knowledge.join(before);
}
