//===- Pipeline.cpp - the pipeline of the plan stage ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/Passes.h"

using namespace mlir;

void moe::buildPlanPipeline(OpPassManager &manager,
                            const PrecisionFlags &flags) {
  manager.addPass(createRecordRouting());
  manager.addPass(createPlaceExperts());
  LowerToKernOptions options;
  options.weights = flags.weights;
  options.activations = flags.activations;
  manager.addPass(createLowerToKern(options));
  manager.addPass(createPlanWeights());
}

void moe::registerPlanPipelines() {
  PassPipelineRegistration<>(
      "moe-plan-pipeline",
      "chooses kernels and gives every weight its place in the artifact",
      [](OpPassManager &manager) { buildPlanPipeline(manager, {}); });
}
