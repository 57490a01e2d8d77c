//===- Pipeline.cpp - the pipeline of the gpu target ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/Passes.h"

#include "passes/target/common/Passes.h"

#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

/// From loops over buffers to kernels in the LLVM and NVVM dialects.
static void buildKernelPipeline(OpPassManager &manager) {
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createLoopInvariantCodeMotionPass());

  // As on the host, so that both give the same numbers.
  arith::ArithEmulateUnsupportedFloatsOptions floats;
  floats.sourceTypeStrs = {"bf16", "f16"};
  floats.targetTypeStr = "f32";
  manager.addPass(arith::createArithEmulateUnsupportedFloats(floats));
  manager.addPass(moe::createDeviceMath());
  manager.addPass(moe::createExpandBF16());
  manager.addPass(arith::createArithExpandOpsPass());

  manager.addPass(createConvertVectorToSCFPass());
  manager.addPass(moe::createLowerReshapes());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createConvertVectorToLLVMPass());
  manager.addPass(createFinalizeMemRefToLLVMConversionPass());
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertIndexToLLVMPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createUBToLLVMConversionPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(moe::createMarkKernels());
}

void moe::buildGPULowerPipeline(OpPassManager &manager) {
  NarrowHiddenOptions hidden;
  hidden.f16 = true;
  manager.addPass(createNarrowHidden(hidden));
}

void moe::buildGPUOffloadPipeline(OpPassManager &manager, StringRef arch) {
  manager.addPass(createLowerKernToLoops());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createPlaceBuffers());
  LowerKernToMMAOptions products;
  products.arch = arch.str();
  manager.addPass(createLowerKernToMMA(products));
  manager.addPass(createOutlineKernels());
}

void moe::buildGPUTargetPipeline(OpPassManager &manager, StringRef arch) {
  buildGPUOffloadPipeline(manager, arch);
  buildKernelPipeline(manager.nest<ModuleOp>());
  manager.addPass(createLowerDeviceBuffers());
  buildLLVMPipeline(manager);
  manager.addPass(createEmitDeviceTable());
}

void moe::registerTargetGPUPipelines() {
  struct Options : public PassPipelineOptions<Options> {
    Option<std::string> arch{*this, "arch", llvm::cl::desc("architecture"),
                             llvm::cl::init("sm_80")};
  };
  PassPipelineRegistration<Options>(
      "gpu-offload-pipeline", "moves loops over buffers into kernels",
      [](OpPassManager &manager, const Options &options) {
        buildGPUOffloadPipeline(manager, options.arch);
      });
  PassPipelineRegistration<Options>(
      "gpu-target-pipeline",
      "turns loops over buffers into kernels and the host code around them",
      [](OpPassManager &manager, const Options &options) {
        buildGPUTargetPipeline(manager, options.arch);
      });
}
