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

bool moe::multipliesNarrow(ModuleOp module) {
  auto isNarrow = [](Value rows, Value panels, kern::QuantizedAttr quantized) {
    return (quantized && isa<IntegerType>(quantized.getNumbers())) ||
           (getElementTypeOrSelf(rows).isBF16() &&
            getElementTypeOrSelf(panels).isBF16());
  };
  return module
      ->walk([&](Operation *op) {
        bool found = false;
        if (auto gemm = dyn_cast<kern::PanelGemmOp>(op))
          found = isNarrow(gemm.getA(), gemm.getB(), gemm.getQuantizedAttr());
        else if (auto hidden = dyn_cast<kern::ExpertsHiddenOp>(op))
          found = isNarrow(hidden.getX(), hidden.getPanels(),
                           hidden.getQuantizedAttr());
        else if (auto combine = dyn_cast<kern::ExpertsCombineOp>(op))
          found = isNarrow(combine.getH(), combine.getPanels(),
                           combine.getQuantizedAttr());
        return found ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}
