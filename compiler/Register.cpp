//===- Register.cpp - what the tools know about -----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Register.h"

#include "dialects/kern/KernBufferization.h"
#include "dialects/kern/KernDialect.h"
#include "dialects/moe/MoEBufferization.h"
#include "dialects/moe/MoEDialect.h"
#include "dialects/onnx/ONNXDialect.h"
#include "passes/convert/Passes.h"
#include "passes/fuse/Passes.h"
#include "passes/plan/Passes.h"
#include "passes/target/common/Passes.h"
#include "passes/target/cpu/Passes.h"
#include "passes/target/gpu/Passes.h"

using namespace mlir;

void moe::registerDialects(DialectRegistry &registry) {
  registry.insert<onnx::ONNXDialect, moe::MoEDialect, kern::KernDialect>();
  registry
      .insert<arith::ArithDialect, bufferization::BufferizationDialect,
              cf::ControlFlowDialect, func::FuncDialect, linalg::LinalgDialect,
              LLVM::LLVMDialect, math::MathDialect, memref::MemRefDialect,
              scf::SCFDialect, tensor::TensorDialect, vector::VectorDialect>();
  moe::registerBufferizableOpInterfaceExternalModels(registry);
  kern::registerBufferizableOpInterfaceExternalModels(registry);
}

void moe::registerPasses() {
  registerConvertPasses();
  registerConvertPipelines();
  registerFusePasses();
  registerFusePipelines();
  registerPlanPasses();
  registerPlanPipelines();
  registerTargetCommonPasses();
  registerTargetCommonPipelines();
  registerTargetCPUPasses();
  registerTargetGPUPasses();
  registerTargetGPUPipelines();
}
