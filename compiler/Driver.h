//===- Driver.h - from a model file to an artifact -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_DRIVER_H
#define COMPILER_DRIVER_H

#include "compiler/Phases.h"
#include "compiler/Remarks.h"
#include "frontends/onnx/Importer.h"
#include "passes/plan/placement/Plan.h"

#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/OwningOpRef.h"

#include <functional>
#include <string>
#include <vector>

namespace mlir::moe {

enum class RemarkFormat { None, Text, YAML };

/// What a compilation reads, writes and reports.
struct CompileOptions {
  /// An ONNX model (`.onnx`, `.onnxtxt`), or MLIR text with `startFrom`.
  std::string modelPath;
  /// The artifact; or, with `stopAfter`, the file for the IR ("-": stdout;
  /// empty: none).
  std::string outputPath;
  /// The folder that relative files in `#moe.view` are looked up in; empty: the
  /// folder of the model.
  std::string baseDir;
  /// Instruction set levels to generate code for; empty: all that make a
  /// difference for the model.
  std::vector<std::string> isas;
  PrecisionFlags precision;
  /// If not null, plans which ranks hold which experts of the model; code is
  /// then generated for as many ranks.
  std::function<llvm::Expected<Plan>(const ExpertModel &model)> makePlan;
  /// Device architectures to generate code for, such as "sm_80".
  std::vector<std::string> devices;
  /// How the model is imported.
  onnx::ImportOptions import;
  /// Checks every access of the generated code to memory (AddressSanitizer).
  bool sanitize = false;
  /// The last phase to run; its IR is printed instead of writing an artifact.
  std::optional<Phase> stopAfter;
  /// The phase to begin with; the model file then holds the IR before it.
  std::optional<Phase> startFrom;
  /// If not empty, receives one numbered IR file per phase.
  std::string dumpDir;
  /// Prints the wall time of each phase to stderr.
  bool reportTime = false;
  /// How the decisions of the passes are printed to stderr.
  RemarkFormat remarks = RemarkFormat::None;
  /// Receives the decisions of the passes, if not null.
  RemarkList *remarkList = nullptr;
  /// Missed raisings are errors.
  bool failOnMissed = false;
  /// Called with a phase and the fraction of the whole compilation done.
  std::function<void(StringRef step, double fraction)> onProgress;
};

/// Compiles a model. Errors are emitted as diagnostics of `context`; nothing is
/// left at `outputPath` after a failure.
LogicalResult compileModel(const CompileOptions &options, MLIRContext &context);

/// The expert layers of a model, for planning; the same errors.
FailureOr<ExpertModel> readExpertModel(const CompileOptions &options,
                                       MLIRContext &context);

} // namespace mlir::moe

#endif // COMPILER_DRIVER_H
