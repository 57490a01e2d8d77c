//===- GlobalChecker.h - finds unordered accesses to global memory --*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_CHECK_GLOBALCHECKER_H
#define RUNTIME_DEVICE_EMULATED_CHECK_GLOBALCHECKER_H

#include "runtime/device/emulated/check/Clocks.h"
#include "runtime/device/emulated/vector/Instruction.h"

#include <array>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <unordered_map>

namespace emulated {

/// An access to a word of global memory.
struct GlobalAccess {
  uint64_t cluster = ~0ull;
  uint64_t cta = 0;
  uint32_t warp = 0;
  uint32_t time = 0;
  bool isWrite = false, isAtomic = false;
  const Instruction *instruction = nullptr;
};

/// The last accesses to each word of global memory in a launch, for all
/// clusters. Clusters are ordered only by atomic operations and other strong
/// accesses; a cluster that has acquired from another one is taken to come
/// after all of it. The last read of a word stands for all of them.
class GlobalChecker {
public:
  /// Records an access; returns the access that it is not ordered after, or one
  /// without an instruction.
  GlobalAccess access(uint64_t address, uint32_t size, const GlobalAccess &mine,
                      const VectorClock &seen);
  /// A strong access to a word: takes the knowledge that others left there and
  /// leaves `published`.
  void handOn(uint64_t address, uint64_t cluster, Knowledge &knowledge,
              const Knowledge &published);

private:
  struct Word {
    GlobalAccess write, read;
  };
  static constexpr uint64_t kPageWords = 256;
  using Page = std::array<Word, kPageWords>;
  /// What strong accesses left at a word.
  struct Published {
    std::set<uint64_t> clusters;
    std::map<uint64_t, Knowledge> byCluster;
  };

  bool isOrdered(const GlobalAccess &before, const GlobalAccess &mine,
                 const VectorClock &seen) const;

  std::mutex mutex;
  std::unordered_map<uint64_t, std::unique_ptr<Page>> pages;
  std::unordered_map<uint64_t, Published> published;
  /// The clusters that a cluster has acquired from.
  std::unordered_map<uint64_t, std::set<uint64_t>> acquired;
};

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_CHECK_GLOBALCHECKER_H
