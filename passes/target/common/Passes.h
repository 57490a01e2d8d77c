//===- Passes.h - passes of the common stage --------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_COMMON_PASSES_H
#define PASSES_TARGET_COMMON_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace mlir::moe {

#define GEN_PASS_DECL
#include "passes/target/common/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/target/common/Passes.h.inc"

/// From fused tensors to loops over buffers; registered as
/// `moe-bufferize-pipeline`. Named operations of linalg that a target has not
/// taken become plain loops.
void buildBufferizePipeline(OpPassManager &manager);

/// From loops over buffers to the LLVM dialect; registered as
/// `moe-llvm-pipeline`.
void buildLLVMPipeline(OpPassManager &manager);

/// Registers both.
void registerTargetCommonPipelines();

} // namespace mlir::moe

#endif // PASSES_TARGET_COMMON_PASSES_H
