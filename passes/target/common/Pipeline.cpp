//===- Pipeline.cpp - pipelines that every target shares --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/Passes.h"

#include "mlir/Conversion/BufferizationToMemRef/BufferizationToMemRef.h"
#include "mlir/Conversion/Passes.h"
#include "mlir/Dialect/Arith/Transforms/Passes.h"
#include "mlir/Dialect/Bufferization/Pipelines/Passes.h"
#include "mlir/Dialect/Bufferization/Transforms/Passes.h"
#include "mlir/Dialect/Linalg/Passes.h"
#include "mlir/Dialect/MemRef/Transforms/Passes.h"
#include "mlir/Transforms/Passes.h"

using namespace mlir;

void moe::buildBufferizePipeline(OpPassManager &manager) {
  manager.addPass(createAppendInPlace());
  manager.addPass(createLowerReference());
  manager.addPass(createConvertElementwiseToLinalgPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());

  // Every value of `main` is row-major: that is what the runtime hands in.
  bufferization::OneShotBufferizePassOptions options;
  options.bufferizeFunctionBoundaries = true;
  options.functionBoundaryTypeConversion =
      bufferization::LayoutMapOption::IdentityLayoutMap;
  options.allowReturnAllocsFromLoops = true;
  manager.addPass(bufferization::createOneShotBufferizePass(options));
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());

  // Buffers die right after their last use, so the runtime can hand the memory
  // out again.
  bufferization::buildBufferDeallocationPipeline(manager);
  // Results of `main` that are its arguments were cloned.
  manager.addPass(createConvertBufferizationToMemRefPass());
  manager.addNestedPass<func::FuncOp>(
      bufferization::createOptimizeAllocationLivenessPass());

  manager.addPass(createLowerExchange());
  manager.addPass(createLowerCopies());
  manager.addPass(createLowerReductions());
  manager.addNestedPass<func::FuncOp>(createConvertLinalgToParallelLoopsPass());
  manager.addPass(createLowerAsserts());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
}

void moe::buildLLVMPipeline(OpPassManager &manager) {
  manager.addPass(createMarkEntry());
  manager.addPass(createMarkOperations());
  manager.addPass(createOutlineParallel());
  manager.addPass(createLowerWeights());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createLoopInvariantCodeMotionPass());

  // Arithmetic that the instruction sets lack: f16 and bf16 by way of f32.
  arith::ArithEmulateUnsupportedFloatsOptions floats;
  floats.sourceTypeStrs = {"bf16", "f16"};
  floats.targetTypeStr = "f32";
  manager.addPass(arith::createArithEmulateUnsupportedFloats(floats));
  manager.addPass(createApproximateMath());
  manager.addPass(createExpandBF16());
  manager.addPass(arith::createArithExpandOpsPass());

  manager.addPass(createConvertVectorToSCFPass());
  manager.addPass(createLowerReshapes());
  manager.addPass(memref::createExpandStridedMetadataPass());
  manager.addPass(createLowerAffinePass());
  manager.addPass(createSCFToControlFlowPass());
  manager.addPass(createConvertMathToLLVMPass());
  manager.addPass(createConvertMathToLibmPass());
  manager.addPass(createConvertVectorToLLVMPass());
  FinalizeMemRefToLLVMConversionPassOptions buffers;
  buffers.useAlignedAlloc = true;
  buffers.useGenericFunctions = true;
  manager.addPass(createFinalizeMemRefToLLVMConversionPass(buffers));
  manager.addPass(createArithToLLVMConversionPass());
  manager.addPass(createConvertIndexToLLVMPass());
  manager.addPass(createConvertControlFlowToLLVMPass());
  manager.addPass(createConvertFuncToLLVMPass());
  manager.addPass(createUBToLLVMConversionPass());
  manager.addPass(createReconcileUnrealizedCastsPass());
  manager.addPass(createCanonicalizerPass());
  manager.addPass(createCSEPass());
  manager.addPass(createEmitEntry());
}

void moe::registerTargetCommonPipelines() {
  PassPipelineRegistration<>(
      "moe-bufferize-pipeline",
      "turns tensors into buffers and linalg operations into loops",
      buildBufferizePipeline);
  PassPipelineRegistration<>("moe-llvm-pipeline",
                             "turns loops over buffers into a code object",
                             buildLLVMPipeline);
}
