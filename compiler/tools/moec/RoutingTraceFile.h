//===- RoutingTraceFile.h - recorded routing in files ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_ROUTINGTRACEFILE_H
#define COMPILER_TOOLS_MOEC_ROUTINGTRACEFILE_H

#include "passes/plan/placement/RoutingTrace.h"

/// What a routing trace file says about one layer.
struct RecordedLayer {
  mlir::moe::LayerTrace choices;
  /// A weight for each id; empty if the file has none.
  std::vector<float> weights;
  /// As the file says, or one more than the largest id.
  int64_t experts = 0;
  /// The node or block of the model; may be empty.
  std::string name;
};

/// Reads a `.npz` file with the arrays of docs/placement.md: `ids_N` for each
/// layer N from 0; `weights_N`, `experts` and `names.json` may be missing.
llvm::Expected<std::vector<RecordedLayer>> readRouting(const std::string &path);

/// The choices alone.
llvm::Expected<mlir::moe::RoutingTrace>
readRoutingTrace(const std::string &path);

/// Writes such a file with all arrays.
llvm::Error writeRouting(llvm::ArrayRef<RecordedLayer> layers,
                         const std::string &path);

#endif // COMPILER_TOOLS_MOEC_ROUTINGTRACEFILE_H
