//===- Passes.h - passes of the cpu stage -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_PASSES_H
#define PASSES_TARGET_CPU_PASSES_H

#include "mlir/IR/BuiltinOps.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace mlir::moe {

#define GEN_PASS_DECL
#include "passes/target/cpu/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/target/cpu/Passes.h.inc"

/// What the CPU takes from the fused tensors before they become buffers.
void buildCPULowerPipeline(OpPassManager &manager);

/// Code for one instruction set level, such as "x86-64-v4".
void buildCPUTargetPipeline(OpPassManager &manager, StringRef isa);

/// Whether code of `module`, after the lower phase, for an instruction set
/// level differs from that for the level below: `amx` multiplies rows with
/// panels that are both bf16, `avx512bf16` these and panels of integers.
bool usesLevel(ModuleOp module, StringRef level);

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_PASSES_H
