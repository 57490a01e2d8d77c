//===- Phases.cpp - the named phases of a compilation -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Phases.h"

#include "passes/convert/Passes.h"
#include "passes/fuse/Passes.h"
#include "passes/plan/Passes.h"
#include "passes/target/common/Passes.h"
#include "passes/target/cpu/Passes.h"
#include "passes/target/gpu/Passes.h"

#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace mlir::moe;

ArrayRef<PhaseInfo> moe::getPhases() {
  static const PhaseInfo phases[] = {
      {Phase::Import, "import", "onnx operators, one for each node"},
      {Phase::Convert, "convert", "moe level 1, linalg and tensor"},
      {Phase::Fuse, "fuse", "moe level 3, linalg and tensor"},
      {Phase::Plan, "plan", "the same with weights placed in the artifact"},
      {Phase::Lower, "lower", "kern and loops over buffers"},
      {Phase::Target, "target", "LLVM for one instruction set"},
  };
  return phases;
}

std::optional<Phase> moe::parsePhase(StringRef name) {
  for (const PhaseInfo &info : getPhases())
    if (info.name == name)
      return info.phase;
  return std::nullopt;
}

void moe::buildPhase(Phase phase, OpPassManager &manager, StringRef isa,
                     const PrecisionFlags &precision) {
  switch (phase) {
  case Phase::Import:
    return;
  case Phase::Convert:
    return buildConvertPipeline(manager);
  case Phase::Fuse:
    return buildFusePipeline(manager);
  case Phase::Plan:
    return buildPlanPipeline(manager, precision);
  case Phase::Lower:
    buildCPULowerPipeline(manager);
    return buildBufferizePipeline(manager);
  case Phase::Target:
    buildCPUTargetPipeline(manager, isa);
    return buildLLVMPipeline(manager);
  }
}

void moe::buildDeviceLower(OpPassManager &manager) {
  buildGPULowerPipeline(manager);
  buildBufferizePipeline(manager);
}

void moe::buildDeviceTarget(OpPassManager &manager, StringRef arch) {
  buildGPUTargetPipeline(manager, arch);
}
