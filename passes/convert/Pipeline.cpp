//===- Pipeline.cpp - the pipeline of the convert stage ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/Passes.h"

#include "mlir/Transforms/Passes.h"

using namespace mlir;

void moe::buildConvertPipeline(OpPassManager &manager) {
  manager.addPass(createFoldOnnxConstants());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createUnrollSequences());
  manager.addPass(createUnrollLoops());
  manager.addPass(createFoldOnnxConstants());
  manager.addPass(createRefineShapes());
  manager.addPass(createInferSymbols());
  manager.addPass(createFoldOnnxConstants());
  manager.addPass(createFoldWeightViews());
  manager.addPass(createCSEPass());
  manager.addPass(createRaiseExperts());
  manager.addPass(createRaiseRouters());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createConvertONNXToLinalg());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createVerifyConverted());
}

void moe::registerConvertPipelines() {
  PassPipelineRegistration<>("moe-convert-pipeline",
                             "turns onnx operators into moe, linalg and tensor",
                             buildConvertPipeline);
}
