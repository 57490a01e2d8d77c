//===- InstructionSetLevel.h - CPUs that code is generated for --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_INSTRUCTIONSETLEVEL_H
#define COMPILER_INSTRUCTIONSETLEVEL_H

#include "mlir/Support/LLVM.h"

namespace mlir::moe {

/// A set of instructions that code may rely on; each level has those of the
/// levels before it.
struct InstructionSetLevel {
  /// As users, artifacts and the runtime know it.
  StringRef name;
  /// What LLVM calls the processor, and what it has beyond that.
  StringRef processor, features;
  /// Bits of a vector register.
  StringRef vectorBits;
};

/// All levels, lowest first.
ArrayRef<InstructionSetLevel> getInstructionSetLevels();

/// The level `name`; another name is that of a processor.
InstructionSetLevel getInstructionSetLevel(StringRef name);

/// The highest level that this machine has, or the lowest one of all.
StringRef getNativeInstructionSet();

} // namespace mlir::moe

#endif // COMPILER_INSTRUCTIONSETLEVEL_H
