//===- PlanInputs.h - what moec plan reads --------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_PLANINPUTS_H
#define COMPILER_TOOLS_MOEC_PLANINPUTS_H

#include "passes/plan/placement/Plan.h"

/// Tokens of a step for each rank, where the user names no number.
constexpr int64_t kTokensPerRank = 64;

// All of them exit with an error if the file is not what it should be.

/// The model in an artifact (`.moe`), an ONNX file, or a plan file (`.json`),
/// which may hold a plan, too.
mlir::moe::Plan readPlanInput(const std::string &path);

mlir::moe::Machine readMachineFile(const std::string &path);

/// Parses "12" or "12.5%" (of `experts`).
int64_t parseReplicas(const std::string &text, int64_t experts);

#endif // COMPILER_TOOLS_MOEC_PLANINPUTS_H
