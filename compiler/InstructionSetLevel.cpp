//===- InstructionSetLevel.cpp - CPUs that code is generated for ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/InstructionSetLevel.h"

#include "runtime/device/cpu/InstructionSets.h"

using namespace mlir;
using namespace mlir::moe;

/// The processors with products of bf16 have those of bytes, too, and can
/// bring bytes of a register into any order.
static constexpr InstructionSetLevel kLevels[] = {
    {"x86-64-v3", "x86-64-v3", "", "256"},
    {"x86-64-v4", "x86-64-v4", "", "512"},
    {"avx512bf16", "x86-64-v4", "+avx512bf16,+avx512vnni,+avx512vbmi", "512"},
    {"amx", "x86-64-v4",
     "+avx512bf16,+avx512vnni,+avx512vbmi,+amx-tile,+amx-bf16", "512"},
};

ArrayRef<InstructionSetLevel> moe::getInstructionSetLevels() { return kLevels; }

InstructionSetLevel moe::getInstructionSetLevel(StringRef name) {
  for (const InstructionSetLevel &level : kLevels)
    if (level.name == name)
      return level;
  return {name, name, "", "256"};
}

StringRef moe::getNativeInstructionSet() {
  for (const InstructionSetLevel &level : llvm::reverse(kLevels))
    if (moert::isSupported(level.name.str()))
      return level.name;
  return kLevels[0].name;
}
