//===- Pipeline.cpp - the pipeline of the fuse stage ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/fuse/Passes.h"

#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void moe::buildFusePipeline(OpPassManager &manager) {
  manager.addPass(createFuseRoutingPermutation());
  manager.addPass(createFuseExperts());
  manager.addPass(createVerifyFused());

  manager.addPass(createFuseAttention());
  // Extents must not keep alive what has been fused away.
  manager.addPass(memref::createResolveRankedShapeTypeResultDimsPass());
  manager.addPass(createCanonicalizerPass());
  // Element-wise chains become one loop nest each.
  manager.addPass(createFuseElementwise());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void moe::registerFusePipelines() {
  PassPipelineRegistration<>("moe-fuse-pipeline",
                             "fuses routing, experts and element-wise chains",
                             buildFusePipeline);
}
