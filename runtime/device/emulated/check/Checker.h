//===- Checker.h - finds accesses that nothing orders -----------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_CHECK_CHECKER_H
#define RUNTIME_DEVICE_EMULATED_CHECK_CHECKER_H

#include "runtime/device/emulated/check/Clocks.h"
#include "runtime/device/emulated/execute/Launch.h"

namespace emulated {

struct Cta;
struct Cluster;
struct Warp;
struct Mbarrier;
enum class Access : uint8_t;

/// Follows the happens-before order of a cluster. Agents are its warps, and
/// each mbarrier for the asynchronous operations that it completes; the time of
/// a warp counts its releases, that of an mbarrier its phases.
///
/// Two accesses to a word of shared memory of which one is a write must be
/// ordered by barriers, mbarriers or atomic operations. An access to a word
/// with an asynchronous operation in flight is an error, and so is an
/// asynchronous read of what the generic proxy wrote without fence.proxy.async
/// in between.
class Checker {
public:
  explicit Checker(Cluster &cluster);

  // Accesses of one lane by the generic proxy.
  void accessShared(Warp &warp, const Instruction &instruction, unsigned lane,
                    Cta &cta, uint32_t offset, uint32_t size, Access access);
  void accessGlobal(Warp &warp, const Instruction &instruction, unsigned lane,
                    uint64_t address, uint32_t size, Access access);

  // Asynchronous operations: from their issue to their end.
  void beginWrite(Warp &warp, const Instruction &instruction, unsigned lane,
                  Cta &cta, uint32_t offset, uint32_t size);
  /// The write belongs to the lane from now on (cp.async and its wait).
  void endWrite(Warp &warp, unsigned lane, Cta &cta, uint32_t offset,
                uint32_t size);
  /// The write is seen by those that wait for the mbarrier's phase.
  void endWrite(const Mbarrier &barrier, bool isAsyncProxy, Cta &cta,
                uint32_t offset, uint32_t size);
  void beginRead(Warp &warp, const Instruction &instruction, unsigned lane,
                 Cta &cta, uint32_t offset, uint32_t size);
  void endRead(Warp &warp, Cta &cta, uint32_t offset, uint32_t size);
  void endRead(const Mbarrier &barrier, Cta &cta, uint32_t offset,
               uint32_t size);

  // Synchronisation.
  void release(Warp &warp, Knowledge &to);
  void acquire(Warp &warp, const Knowledge &from);
  /// Lanes of the warp see each other's accesses.
  void synchroniseLanes(Warp &warp);
  void fence(Warp &warp, bool isProxyFence, bool isMbarrierInit);
  void initialise(Warp &warp, Mbarrier &barrier);
  void completePhase(Mbarrier &barrier);
  /// An operation of the asynchronous proxy on an mbarrier.
  void useByProxy(Warp &warp, const Instruction &instruction, unsigned lane,
                  Mbarrier &barrier);

private:
  /// A word of shared memory.
  struct Word {
    uint16_t writer = kNobody;
    uint8_t lane = 0;
    uint8_t bytes = 0;
    uint8_t initialised = 0;
    bool isAsync = false, isAtomic = false;
    uint16_t pendingWrites = 0, pendingReads = 0;
    uint32_t time = 0, epoch = 0;
    /// The last read by an asynchronous operation.
    uint16_t reader = kNobody;
    uint32_t readTime = 0;
    const Instruction *writtenBy = nullptr;
    /// What atomic operations on it hand on, plus one; 0: nothing.
    uint32_t knowledge = 0;
  };
  static constexpr uint16_t kNobody = 0xffff;

  struct SharedState {
    std::vector<Word> words;
    /// Times of the last reads, for each word and warp.
    std::vector<uint32_t> reads;
  };
  struct WarpState {
    Knowledge knowledge;
    /// What was known at the last fence: relaxed operations hand it on.
    Knowledge atFence;
    uint32_t epoch = 0;
  };

  unsigned getAgent(const Warp &warp) const;
  WarpState &getState(const Warp &warp) { return warps[getAgent(warp)]; }
  template <typename Visit>
  void forEachWord(Cta &cta, uint32_t offset, uint32_t size, Visit visit);
  void checkOrder(Warp &warp, const Instruction &instruction, unsigned lane,
                  const Word &word, uint32_t offset, uint8_t bytes,
                  bool isAtomic, const char *what);
  void checkReaders(Warp &warp, const Instruction &instruction, unsigned lane,
                    const SharedState &state, size_t index, uint32_t offset);
  void handOn(Warp &warp, const Instruction &instruction, uint32_t &slot);
  [[noreturn]] void fail(Warp &warp, const Instruction &instruction,
                         unsigned lane, const std::string &what,
                         uint32_t offset, const Word &word);
  std::string describeAgent(unsigned agent) const;

  Cluster &cluster;
  unsigned numWarps;
  std::vector<WarpState> warps;
  std::vector<SharedState> shared;
  std::vector<Knowledge> published;
  unsigned numAgents;
};

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_CHECK_CHECKER_H
