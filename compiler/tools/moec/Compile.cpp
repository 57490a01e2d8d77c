//===- Compile.cpp - moec compile -------------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver.h"
#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/CompileFlags.h"
#include "compiler/tools/moec/Progress.h"

#include <CLI/CLI.hpp>

using namespace mlir;
using namespace mlir::moe;

void addCompileCommand(CLI::App &app) {
  struct State {
    CompileFlags flags;
    CompileOptions options;
    std::string stopAfter, startFrom, remarks;
    bool quiet = false, verbose = false;
  };
  auto state = std::make_shared<State>();
  CLI::App *command =
      app.add_subcommand("compile", "compile an ONNX model into an artifact");
  CompileOptions &options = state->options;
  command->add_option("MODEL", options.modelPath, "the model (.onnx, .onnxtxt)")
      ->required();
  command->add_option("-o,--output", options.outputPath,
                      "the artifact; with --stop-after the file for the IR "
                      "(default: standard output)");
  state->flags.addTo(*command);
  std::vector<std::string> phases;
  for (const PhaseInfo &info : getPhases())
    phases.push_back(info.name.str());
  command
      ->add_option("--stop-after", state->stopAfter,
                   "print the IR after this phase instead of an artifact")
      ->check(CLI::IsMember(phases));
  command
      ->add_option("--start-from", state->startFrom,
                   "MODEL is IR; begin with this phase")
      ->check(CLI::IsMember(phases));
  command->add_option("--base-dir", options.baseDir,
                      "folder of the weight files (default: MODEL's folder)");
  command->add_option("--dump-dir", options.dumpDir,
                      "write the IR after each phase to numbered files here");
  command
      ->add_option("--remarks", state->remarks,
                   "print the decisions of the passes as text or yaml")
      ->expected(0, 1)
      ->default_str("text")
      ->check(CLI::IsMember({"text", "yaml"}));
  command->add_flag("--fail-on-missed", options.failOnMissed,
                    "fail if an MoE block was not recognised");
  command->add_flag("--time", options.reportTime,
                    "print the time that each phase takes");
  command->add_flag("-v,--verbose", state->verbose,
                    "print the decisions of the passes and the time that each "
                    "phase takes");
  command->add_flag("-q,--quiet", state->quiet, "show no progress");

  command->callback([state, command] {
    CompileOptions &options = state->options;
    if (!state->stopAfter.empty())
      options.stopAfter = parsePhase(state->stopAfter);
    if (!state->startFrom.empty())
      options.startFrom = parsePhase(state->startFrom);
    if (command->count("--remarks"))
      options.remarks =
          state->remarks == "yaml" ? RemarkFormat::YAML : RemarkFormat::Text;
    if (state->verbose) {
      options.reportTime = true;
      if (options.remarks == RemarkFormat::None)
        options.remarks = RemarkFormat::Text;
    }
    if (options.outputPath.empty()) {
      if (!options.stopAfter)
        throw CLI::RequiredError("--output");
      options.outputPath = "-";
    }
    state->flags.apply(options);
    Progress progress(state->quiet || options.stopAfter);
    options.onProgress = [&](StringRef step, double fraction) {
      progress.update(step, fraction);
    };
    bool compiled = compileWithDiagnostics(options);
    progress.finish();
    if (!compiled)
      throw CLI::RuntimeError(1);
  });
}
