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

bool moe::usesLevel(ModuleOp module, StringRef level) {
  if (level != "avx512bf16" && level != "amx")
    return true;
  auto gains = [&](Value rows, Value panels, kern::QuantizedAttr quantized) {
    if (quantized)
      return level == "avx512bf16" && isa<IntegerType>(quantized.getNumbers());
    return getElementTypeOrSelf(rows).isBF16() &&
           getElementTypeOrSelf(panels).isBF16();
  };
  return module
      ->walk([&](Operation *op) {
        bool found = false;
        if (auto gemm = dyn_cast<kern::PanelGemmOp>(op))
          found = gains(gemm.getA(), gemm.getB(), gemm.getQuantizedAttr());
        else if (auto hidden = dyn_cast<kern::ExpertsHiddenOp>(op))
          found = gains(hidden.getX(), hidden.getPanels(),
                        hidden.getQuantizedAttr());
        else if (auto combine = dyn_cast<kern::ExpertsCombineOp>(op))
          found = gains(combine.getH(), combine.getPanels(),
                        combine.getQuantizedAttr());
        return found ? WalkResult::interrupt() : WalkResult::advance();
      })
      .wasInterrupted();
}
