//===- Program.h - a kernel in executable form ------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_PROGRAM_PROGRAM_H
#define RUNTIME_DEVICE_EMULATED_PROGRAM_PROGRAM_H

#include "runtime/device/emulated/ptx/Module.h"
#include "runtime/device/emulated/vector/Instruction.h"

#include <deque>
#include <functional>

namespace emulated {

/// Generic addresses of shared and local memory. Those of global memory are
/// addresses of the host, which lie far below.
constexpr uint64_t kSharedWindow = 1ull << 60;
constexpr uint64_t kLocalWindow = 1ull << 61;

/// In an address of shared::cluster, the bits from here on hold the rank of a
/// CTA plus one; zero means the CTA itself.
constexpr unsigned kClusterRankShift = 24;

enum class Special : uint8_t {
  ThreadX,
  ThreadY,
  ThreadZ,
  NumThreadsX,
  NumThreadsY,
  NumThreadsZ,
  CtaX,
  CtaY,
  CtaZ,
  NumCtasX,
  NumCtasY,
  NumCtasZ,
  Lane,
  Warp,
  NumWarps,
  MaskEqual,
  MaskLess,
  MaskLessEqual,
  MaskGreater,
  MaskGreaterEqual,
  Multiprocessor,
  NumMultiprocessors,
  Grid,
  ClusterRank,
  ClusterNumCtas,
  ClusterCtaX,
  ClusterCtaY,
  ClusterCtaZ,
  ClusterNumCtasX,
  ClusterNumCtasY,
  ClusterNumCtasZ,
  ClusterX,
  ClusterY,
  ClusterZ,
  NumClustersX,
  NumClustersY,
  NumClustersZ,
  IsExplicitCluster,
  DynamicShared,
  TotalShared,
  /// The address of the parameters of the launch.
  Parameters,
};

struct SpecialRegister {
  Special special;
  Operand operand;
};

struct ParameterSlot {
  uint32_t offset;
  uint32_t size;
};

/// A kernel with the functions that it calls. Registers and local variables
/// have fixed places, each function its own: there is no recursion.
struct Program {
  std::string name;
  std::vector<Instruction> code;
  /// Operands of the instructions, at fixed addresses.
  std::deque<std::vector<Operand>> operandLists;
  /// Values of constants, 32 lanes each.
  std::vector<uint32_t> constants;
  /// Targets of brx.idx, by the number in Instruction::target.
  std::vector<std::vector<int32_t>> targetLists;
  std::vector<SpecialRegister> specials;
  std::vector<ParameterSlot> parameters;
  uint32_t parameterBytes = 0;
  uint32_t registerWords = 0;
  /// Local memory of a thread.
  uint32_t localBytes = 0;
  /// First byte of shared memory, and the ends of its static part; dynamic
  /// shared memory starts at `dynamicOffset`.
  uint32_t sharedBase = 0;
  uint32_t sharedEnd = 0;
  uint32_t dynamicOffset = 0;
  uint32_t maxThreads = 0;
  uint32_t requiredThreads[3] = {0, 0, 0};
  uint32_t clusterSize[3] = {0, 0, 0};
  const ptx::Module *module = nullptr;

  uint32_t *getConstants() const;
  /// The text of an instruction, on one line.
  std::string getText(const Instruction &instruction) const;
};

/// The address of a variable in global or constant memory.
using SymbolAddress = std::function<uint64_t(const ptx::Variable &)>;

/// Makes the program of a kernel; throws a PtxError for what the emulated
/// device does not execute.
std::unique_ptr<Program> link(const ptx::Module &module,
                              const ptx::Function &entry,
                              const SymbolAddress &getAddress);

/// Sets Instruction::reconverge of the branches in [begin, end).
/// kReconvergeAtReturn: the paths of a function meet where it returns to.
constexpr int32_t kReconvergeAtReturn = -2;
void findReconvergence(std::vector<Instruction> &code, int32_t begin,
                       int32_t end,
                       const std::vector<std::vector<int32_t>> &targetLists,
                       bool isEntry);

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_PROGRAM_PROGRAM_H
