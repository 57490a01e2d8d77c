//===- Passes.h - passes of the cpu stage -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_PASSES_H
#define PASSES_TARGET_CPU_PASSES_H

#include "mlir/Pass/Pass.h"
#include "mlir/Pass/PassManager.h"

namespace mlir::moe {

#define GEN_PASS_DECL
#include "passes/target/cpu/Passes.h.inc"

#define GEN_PASS_REGISTRATION
#include "passes/target/cpu/Passes.h.inc"

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_PASSES_H
