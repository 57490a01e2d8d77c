//===- Passes.h - passes of the gpu stage ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_GPU_PASSES_H
#define PASSES_TARGET_GPU_PASSES_H

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace mlir::moe {

#define GEN_PASS_DECL
#include "passes/target/gpu/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/target/gpu/Passes.h.inc"

/// What devices take from the fused tensors before they become buffers.
void buildGPULowerPipeline(OpPassManager &manager);

/// From loops over buffers to kernels, in a module of their own, and the host
/// code that launches them; registered as `gpu-offload-pipeline`. `arch` is an
/// architecture such as "sm_80".
void buildGPUOffloadPipeline(OpPassManager &manager, StringRef arch);

/// From loops over buffers to the LLVM dialect, both for the host and for the
/// kernels; registered as `gpu-target-pipeline`.
void buildGPUTargetPipeline(OpPassManager &manager, StringRef arch);

/// Registers both.
void registerTargetGPUPipelines();

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_PASSES_H
