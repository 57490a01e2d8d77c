//===- Passes.h - passes of the convert stage -------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_PASSES_H
#define PASSES_CONVERT_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace mlir::moe {

#define GEN_PASS_DECL
#include "passes/convert/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/convert/Passes.h.inc"

/// From onnx operators to level 1 of moe, linalg and tensor; registered as
/// `moe-convert-pipeline`.
void buildConvertPipeline(OpPassManager &manager);

/// Registers it.
void registerConvertPipelines();

} // namespace mlir::moe

#endif // PASSES_CONVERT_PASSES_H
