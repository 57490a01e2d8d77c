//===- Pipeline.cpp - the pipeline of the cpu target ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/Passes.h"

using namespace mlir;

void moe::buildCPULowerPipeline(OpPassManager &manager) {
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
