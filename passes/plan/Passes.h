//===- Passes.h - passes of the plan stage ----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PASSES_H
#define PASSES_PLAN_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace mlir::moe {

#define GEN_PASS_DECL
#include "passes/plan/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/plan/Passes.h.inc"

/// In which numbers products are computed: the options of `moe-lower-to-kern`.
struct PrecisionFlags {
  std::string weights = "keep", activations = "keep";
};

/// Decides in which numbers weights are packed and where they lie; registered
/// as `moe-plan-pipeline`.
void buildPlanPipeline(OpPassManager &manager, const PrecisionFlags &flags);

/// Registers it.
void registerPlanPipelines();

} // namespace mlir::moe

#endif // PASSES_PLAN_PASSES_H
