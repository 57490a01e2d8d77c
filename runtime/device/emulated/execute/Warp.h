//===- Warp.h - the state of a warp -----------------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_EXECUTE_WARP_H
#define RUNTIME_DEVICE_EMULATED_EXECUTE_WARP_H

#include "runtime/device/emulated/check/Checker.h"
#include "runtime/device/emulated/execute/Launch.h"

#include <array>
#include <deque>
#include <random>
#include <unordered_map>

namespace emulated {

struct Cta;
struct Cluster;
struct Warp;

/// Lanes of a warp that execute together.
struct Group {
  enum State : uint8_t {
    Running,
    AtReconvergence, ///< for the other lanes of `token`
    AtBarrier,       ///< barrier `waitsFor` of the CTA
    AtClusterBarrier,
    AtWarpBarrier,
    Polling, ///< a wait on an mbarrier that did not succeed
  };
  uint32_t mask = 0;
  int32_t pc = 0;
  State state = Running;
  uint8_t waitsFor = 0;
  /// The innermost entry of Warp::tokens, and its instruction.
  int32_t token = -1;
  int32_t reconverge = -1;
  /// The innermost entry of Warp::calls.
  int32_t call = -1;
  /// Where a wait did not succeed, for messages.
  int32_t pollPc = -1;
};

/// Lanes that come together at an instruction.
struct Token {
  int32_t pc;
  uint32_t mask;
  int32_t parent;
};

/// A call: where it returns to.
struct CallFrame {
  int32_t returnPc;
  int32_t parent;
};

/// A copy by cp.async that is not complete.
struct PendingCopy {
  uint8_t *destination;
  const uint8_t *source;
  uint16_t size, sourceSize;
  uint8_t lane;
  uint32_t group;
  bool isPerformed;
  const Instruction *instruction;
};

/// A bulk copy out of shared memory that is not complete.
struct PendingStore {
  unsigned lane;
  uint32_t group;
  std::function<void()> perform;
  /// What it reads.
  Cta *cta;
  uint32_t offset, size;
};

/// A wgmma that is not complete.
struct PendingWgmma {
  const Instruction *instruction;
  uint64_t a, b;
  bool isAccumulating;
  bool isPerformed;
  uint32_t group;
};

struct Warp : Lanes {
  Cta *cta = nullptr;
  unsigned index = 0;
  uint32_t live = 0;
  std::vector<Group> groups;
  std::vector<Token> tokens;
  std::vector<CallFrame> calls;
  /// The group that executes.
  size_t current = 0;
  /// Set by handlers: the group does not go on.
  bool isStopped = false;
  /// Local memory, one lane's after the other's.
  uint8_t *local = nullptr;
  std::vector<PendingCopy> copies;
  uint32_t copyGroup[kWarpSize] = {};
  std::vector<PendingWgmma> wgmmas;
  uint32_t wgmmaGroup = 0;
  bool isWgmmaFenced = false;
  std::vector<PendingStore> stores;
  uint32_t storeGroup[kWarpSize] = {};
  uint64_t numInstructions = 0;
  /// Lanes between their arrival and their wait at the cluster's barrier, and
  /// its phase then.
  uint32_t clusterArrived = 0;
  uint64_t clusterPhase = 0;

  Group &getGroup() { return groups[current]; }
  unsigned getThread(unsigned lane) const { return index * kWarpSize + lane; }
  /// Ends the launch: `message` says what the lane did.
  [[noreturn]] void fail(FaultKind kind, const Instruction &instruction,
                         unsigned lane, const std::string &message) const;
};

struct Barrier {
  /// Lanes that arrived, for each warp.
  std::vector<uint32_t> arrived;
  unsigned count = 0;
  /// 0: all threads of the CTA.
  unsigned expected = 0;
  bool isUsed = false;
  // For bar.red: lanes whose predicate holds, and who takes the result.
  unsigned numTrue = 0;
  Knowledge knowledge;
  struct Reduction {
    Warp *warp;
    uint32_t mask;
    const Instruction *instruction;
  };
  std::vector<Reduction> reductions;
};

struct Mbarrier {
  uint32_t expected = 0;
  int64_t pending = 0;
  int64_t transactions = 0;
  uint32_t phase = 0;
  // For the checker: its agent, the warp that initialised it, and what it hands
  // on.
  unsigned agent = 0, owner = 0;
  bool isFenced = false;
  Knowledge current, done;
};

struct Cta {
  Cluster *cluster = nullptr;
  const Launch *launch = nullptr;
  uint32_t id[3] = {};
  unsigned rank = 0;
  uint32_t sharedBase = 0;
  std::vector<uint8_t> shared;
  std::deque<Warp> warps;
  Barrier barriers[16];
  unsigned numLive = 0;
  std::unordered_map<uint32_t, Mbarrier> mbarriers;
  std::vector<uint32_t> tensorMemory;
  uint32_t tensorColumns = 0;
  /// Products of tcgen05 since the last commit.
  struct TensorProduct {
    std::function<void()> perform;
    /// Addresses of 16 bytes each that it reads; in the checked mode only.
    std::vector<uint32_t> chunks;
  };
  std::vector<TensorProduct> tensorWork;

  /// The address of a byte of shared memory.
  uint32_t getOffset(const uint8_t *pointer) const {
    return sharedBase + (pointer - shared.data());
  }
  /// The bytes at an address of the shared window, or null.
  uint8_t *getShared(uint32_t address, uint32_t size) {
    uint64_t offset = (uint64_t)address - sharedBase;
    if (address < sharedBase || offset + size > shared.size())
      return nullptr;
    return shared.data() + offset;
  }
  std::string getName() const;
};

/// An asynchronous operation that was issued and is not complete.
struct AsyncOperation {
  std::function<void()> complete;
  std::string description;
};

/// CTAs that run together on one thread of the host.
struct Cluster {
  Cluster(Launch &launch, uint64_t index);

  /// Runs for about `numInstructions`; true when all threads have ended.
  bool run(uint64_t numInstructions);
  void addAsync(std::function<void()> complete, std::string description);

  Launch &launch;
  std::deque<Cta> ctas;
  std::deque<AsyncOperation> pending;
  /// Threads that have arrived at the barrier, and how often it was complete.
  unsigned numAtBarrier = 0;
  uint64_t barrierPhase = 0;
  unsigned numLive = 0;
  unsigned numIdleRounds = 0;
  std::mt19937_64 random;
  Counters counters;
  AccessCounters accesses;
  /// In the checked mode only.
  std::unique_ptr<Checker> checker;
  Knowledge barrierKnowledge;
  /// The number of the cluster, and of its first CTA, in the launch.
  uint64_t index = 0, firstCta = 0;

private:
  bool runRound();
  void completeOne();
  void reportDeadlock();
  void initialise(Warp &warp);

  std::vector<uint32_t> registers;
  std::vector<uint8_t> locals;
};

// Steps of the scheduler that handlers take part in.

/// Runs the groups of a warp; true unless every group waits.
bool runWarp(Warp &warp, uint64_t limit);
/// Counts the active lanes at a barrier; the group waits if `isWaiting`.
void arriveAtBarrier(Warp &warp, const Instruction &instruction, uint32_t mask,
                     unsigned barrier, unsigned count, bool isWaiting);
/// Looks again at the barriers of a CTA after threads have ended.
void releaseBarriers(Cta &cta);
void releaseClusterBarrier(Cluster &cluster);

/// Gives the pointers of the active lanes to `size` bytes each, after the
/// checks. A pointer of an inactive lane is null.
enum class Access : uint8_t {
  Read,
  Write,
  Atomic,
  /// A write that takes place later.
  Async,
};
void resolve(Warp &warp, const Instruction &instruction,
             const AddressOperand &address, uint32_t mask, unsigned size,
             Access access, uint8_t **pointers);
/// The addresses of all lanes.
void computeAddresses(const Warp &warp, const AddressOperand &address,
                      uint64_t *addresses);
/// The CTA and the address in its window for an address of shared memory,
/// generic or not.
Cta &locateShared(Warp &warp, const Instruction &instruction, unsigned lane,
                  uint64_t address, uint32_t &offset);

/// The mbarrier at an address; the lane fails if there is none.
Mbarrier &findMbarrier(Warp &warp, const Instruction &instruction,
                       unsigned lane, uint64_t address, Cta *&cta,
                       uint32_t &offset);
/// Begins the next phase if nothing is awaited.
void completePhase(Cta &cta, Mbarrier &barrier);
/// Completes copies of cp.async by the lanes in `mask`: all but those of the
/// last `numLeft` groups, or really all.
void completeCopies(Warp &warp, uint32_t mask, uint32_t numLeft, bool isAll);
/// The same for bulk copies to global memory.
void completeStores(Warp &warp, uint32_t mask, uint32_t numLeft, bool isAll);
/// The value of an element of a matrix.
float decodeElement(Type type, uint32_t bits);

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_EXECUTE_WARP_H
