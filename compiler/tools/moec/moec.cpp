//===- moec.cpp - compiles, runs and examines models ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/Printable.h"

#include "llvm/Support/InitLLVM.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

void exitWithError(const std::string &message) {
  // What was printed before comes first in a common file, too.
  llvm::outs().flush();
  llvm::errs() << "moec: error: " << toPrintable(message) << '\n';
  throw CLI::RuntimeError(1);
}

int main(int argc, char **argv) {
  llvm::InitLLVM initialize(argc, argv);
  CLI::App app("moec: a compiler for Mixture-of-Experts models in ONNX");
  app.set_version_flag("--version", "moec " MOEC_VERSION);
  app.require_subcommand(1);
  addCompileCommand(app);
  addRunCommand(app);
  addVerifyCommand(app);
  addInspectCommand(app);
  addBenchCommand(app);
  addExplainCommand(app);
  addGenerateCommand(app);
  addPlanCommand(app);
  addRoutingCommand(app);

  try {
    app.parse(argc, argv);
  } catch (const CLI::RuntimeError &error) {
    return error.get_exit_code();
  } catch (const CLI::ParseError &error) {
    if (error.get_exit_code() == 0)
      return app.exit(error);
    llvm::errs() << "moec: error: " << toPrintable(error.what())
                 << "\nRun with --help for more information.\n";
    return 2;
  }
  return 0;
}
