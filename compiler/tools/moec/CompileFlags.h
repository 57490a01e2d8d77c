//===- CompileFlags.h - flags of every command that compiles ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_COMPILEFLAGS_H
#define COMPILER_TOOLS_MOEC_COMPILEFLAGS_H

#include "compiler/Driver.h"
#include "compiler/tools/moec/RankFlags.h"

#include <optional>
#include <string>
#include <vector>

namespace CLI {
class App;
} // namespace CLI

/// What `moec compile` and `moec verify` share.
struct CompileFlags {
  std::vector<std::string> targets = {"cpu"};
  std::vector<std::string> cpus;
  mlir::moe::PrecisionFlags precision;
  std::string sanitizer;
  /// NAME=N: how many tensors an input that is a sequence holds.
  std::vector<std::string> sequences;
  RankFlags ranks;

  void addTo(CLI::App &command);

  /// Throws a CLI error for what this build cannot compile for.
  void apply(mlir::moe::CompileOptions &options) const;
};

/// Compiles in a context of its own and prints diagnostics as
/// "moec: error: place: message"; false after an error.
bool compileWithDiagnostics(const mlir::moe::CompileOptions &options);

/// The expert layers of a model, in the same way.
std::optional<mlir::moe::ExpertModel>
readExpertModelWithDiagnostics(const mlir::moe::CompileOptions &options);

#endif // COMPILER_TOOLS_MOEC_COMPILEFLAGS_H
