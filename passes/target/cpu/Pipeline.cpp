//===- Pipeline.cpp - the pipeline of the cpu target ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/target/common/Passes.h"
#include "passes/target/cpu/Passes.h"

using namespace mlir;

void moe::buildCPULowerPipeline(OpPassManager &manager) {
  manager.addPass(createNarrowHidden());
  manager.addPass(createAlignRows());
}

void moe::buildCPUTargetPipeline(OpPassManager &manager, StringRef isa) {
  LowerAttentionOptions attention;
  attention.isa = isa.str();
  manager.addPass(createLowerAttention(attention));
  LowerKernToVectorOptions options;
  options.isa = isa.str();
  manager.addPass(createLowerKernToVector(options));
}

bool moe::multipliesBF16(ModuleOp module) {
  auto isBF16 = [](Value value) {
    return getElementTypeOrSelf(value).isBF16();
  };
  return module
      ->walk([&](Operation *op) {
        bool found = false;
        if (auto gemm = dyn_cast<kern::PanelGemmOp>(op))
          found = isBF16(gemm.getA()) && isBF16(gemm.getB());
        else if (auto hidden = dyn_cast<kern::ExpertsHiddenOp>(op))
          found = isBF16(hidden.getX()) && isBF16(hidden.getPanels());
        else if (auto combine = dyn_cast<kern::ExpertsCombineOp>(op))
          found = isBF16(combine.getH()) && isBF16(combine.getPanels());
        return found ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}
