//===- RankFlags.h - flags that spread experts over ranks ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_RANKFLAGS_H
#define COMPILER_TOOLS_MOEC_RANKFLAGS_H

#include "compiler/Driver.h"

namespace CLI {
class App;
} // namespace CLI

/// Of every command that compiles.
struct RankFlags {
  int ranks = 0;
  bool hasOwnTokens = false;
  int64_t maxTokens = 0;
  std::string mesh, plan, trace, replicas = "0";

  void addTo(CLI::App &command);

  /// Lets `options` make a plan if the user wants several ranks.
  void apply(mlir::moe::CompileOptions &options) const;
};

#endif // COMPILER_TOOLS_MOEC_RANKFLAGS_H
