//===- RoutingTraceFile.h - recorded routing in files ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_ROUTINGTRACEFILE_H
#define COMPILER_TOOLS_MOEC_ROUTINGTRACEFILE_H

#include "passes/plan/placement/RoutingTrace.h"

/// Reads the expert ids of a routing trace: a `.npz` file with an
/// array `ids_N`, tokens x slots, for each layer N from 0. Other arrays
/// are skipped.
llvm::Expected<mlir::moe::RoutingTrace>
readRoutingTrace(const std::string &path);

#endif // COMPILER_TOOLS_MOEC_ROUTINGTRACEFILE_H
