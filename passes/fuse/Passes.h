//===- Passes.h - passes of the fuse stage ----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_FUSE_PASSES_H
#define PASSES_FUSE_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace mlir::moe {

#define GEN_PASS_DECL
#include "passes/fuse/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/fuse/Passes.h.inc"

/// From level 1 to level 3; registered as `moe-fuse-pipeline`.
void buildFusePipeline(OpPassManager &manager);

/// Registers it.
void registerFusePipelines();

} // namespace mlir::moe

#endif // PASSES_FUSE_PASSES_H
