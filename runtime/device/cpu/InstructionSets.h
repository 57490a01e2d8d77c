//===- InstructionSets.h - what this processor supports -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_CPU_INSTRUCTIONSETS_H
#define RUNTIME_DEVICE_CPU_INSTRUCTIONSETS_H

#include <string>

namespace moert {

/// Places an instruction set level in the order of levels, highest last; -1 if
/// this runtime does not know it.
int getLevelOrder(const std::string &isa);

/// True if the processor has the instructions of a level and the system saves
/// its registers. Levels are those of the x86-64 psABI, `avx512bf16`: x86-64-v4
/// with AVX512-BF16, AVX512-VNNI and AVX512-VBMI, and `amx`: this with matrix
/// registers and products of bf16. These registers the process asks
/// the system for when this is called for the first time.
bool isSupported(const std::string &isa);

} // namespace moert

#endif // RUNTIME_DEVICE_CPU_INSTRUCTIONSETS_H
