//===- Instruction.h - a decoded instruction --------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_VECTOR_INSTRUCTION_H
#define RUNTIME_DEVICE_EMULATED_VECTOR_INSTRUCTION_H

#include "runtime/device/emulated/ptx/Types.h"

// Nothing here may be emitted as a function: sources that include this header
// are compiled for several instruction sets.
#define EMULATED_INLINE __attribute__((always_inline)) inline

namespace emulated {

constexpr unsigned kWarpSize = 32;
constexpr uint32_t kAllLanes = ~0u;

namespace ptx {
struct Instruction;
}

/// A register, a predicate or a constant of the 32 lanes of a warp.
struct Operand {
  enum Kind : uint8_t {
    None,
    Word,      ///< 32 lanes of 4 bytes; values of 8 and 16 bits use the low
               ///< part, whatever the high part holds
    Wide,      ///< 32 lanes of 8 bytes
    Predicate, ///< one word, a bit a lane
  };
  Kind kind = None;
  /// 0: the registers of the warp; 1: the constants of the program.
  uint8_t bank = 0;
  bool isNegated = false;
  /// In words of 4 bytes.
  uint32_t offset = 0;
};

/// `base + offset` in a state space.
struct AddressOperand {
  Operand base;
  int64_t offset = 0;
  Space space = Space::Generic;
};

struct Instruction;

/// The registers of a warp and the constants of its program.
struct Lanes {
  uint32_t *bank[2];

  EMULATED_INLINE uint32_t *word(const Operand &operand) const {
    return bank[operand.bank] + operand.offset;
  }
  EMULATED_INLINE uint64_t *wide(const Operand &operand) const {
    return reinterpret_cast<uint64_t *>(bank[operand.bank] + operand.offset);
  }
  EMULATED_INLINE uint32_t predicate(const Operand &operand) const {
    uint32_t lanes = bank[operand.bank][operand.offset];
    return operand.isNegated ? ~lanes : lanes;
  }
  EMULATED_INLINE void setPredicate(const Operand &operand, uint32_t lanes,
                                    uint32_t mask) const {
    uint32_t &word = bank[operand.bank][operand.offset];
    word = (word & ~mask) | (lanes & mask);
  }
};

/// Executes an instruction for the lanes in `mask`, of which there is at least
/// one.
using Handler = void (*)(Lanes &, const Instruction &, uint32_t mask);

/// How the scheduler treats an instruction.
enum class Control : uint8_t {
  None,
  Branch,
  BranchIndexed,
  Call,
  Return,
  Exit,
  /// May stop the lanes: see Scheduler.
  Synchronise,
};

struct Instruction {
  Handler run = nullptr;
  /// What `run` wraps where it sets the rounding mode first.
  Handler wrapped = nullptr;
  const Operand *results = nullptr;
  const Operand *operands = nullptr;
  uint16_t numResults = 0;
  uint16_t numOperands = 0;
  Control control = Control::None;
  Type type = Type::None;
  Type source = Type::None;
  bool isGuardNegated = false;
  /// An access that other threads may race with: atomic, volatile, relaxed,
  /// acquire or release.
  bool isStrong = false;
  /// It orders what its thread did before.
  bool isReleasing = false;
  /// Offset of the guard's predicate, or -1.
  int32_t guard = -1;
  /// Bits of the floating point control register.
  uint32_t floatControl = 0;
  int32_t target = -1;
  /// Where lanes that diverge here come together again; -1: not before exit.
  int32_t reconverge = -1;
  uint32_t flags = 0;
  uint32_t count = 1;
  int64_t immediate = 0;
  AddressOperand addresses[3];
  const ptx::Instruction *statement = nullptr;
};

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_VECTOR_INSTRUCTION_H
