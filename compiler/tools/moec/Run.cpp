//===- Run.cpp - moec run -------------------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/Model.h"
#include "compiler/tools/moec/Printable.h"
#include "compiler/tools/moec/TensorFile.h"
#include "compiler/tools/moec/WatchFlags.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

namespace {
struct RunState {
  std::string artifact;
  std::vector<std::string> inputs;
  std::string outputDir;
  RunFlags flags;
  WatchFlags watch;
};
} // namespace

/// Prints the type and the first numbers of a tensor.
static void print(const char *name, const moe_tensor_t &tensor) {
  constexpr int64_t kShown = 6;
  llvm::outs() << toPrintable(name) << ' ' << describe(tensor) << " =";
  int64_t count = countElements(tensor);
  for (int64_t i = 0; i < std::min(count, kShown); ++i)
    llvm::outs() << ' ' << CLI::detail::to_string(readElement(tensor, i));
  llvm::outs() << (count > kShown ? " ...\n" : "\n");
}

static void run(const RunState &state) {
  Model model(state.artifact, state.flags);
  std::vector<std::string> names;
  std::vector<Tensor> tensors;
  for (const std::string &argument : state.inputs) {
    size_t equals = argument.find('=');
    std::string error;
    if (equals == std::string::npos)
      exitWithError("expected --input NAME=FILE, got '" + argument + "'");
    names.push_back(argument.substr(0, equals));
    if (!readTensorFile(argument.substr(equals + 1), tensors.emplace_back(),
                        error))
      exitWithError(error);
  }
  std::vector<moe_input_t> inputs;
  for (size_t i = 0; i < names.size(); ++i)
    inputs.push_back({names[i].c_str(), tensors[i].view()});
  state.watch.begin(model);
  model.run(inputs);
  state.watch.finish(model);

  if (!state.outputDir.empty())
    if (std::error_code code =
            llvm::sys::fs::create_directories(state.outputDir))
      exitWithError("cannot create '" + state.outputDir +
                    "': " + code.message());
  for (size_t i = 0; i < model.getOutputs().size(); ++i) {
    const char *name = model.getOutputs()[i].name;
    moe_tensor_t tensor = model.getOutput(i);
    if (state.outputDir.empty()) {
      print(name, tensor);
      continue;
    }
    llvm::SmallString<128> path(state.outputDir);
    llvm::sys::path::append(path, toFileName(name) + ".npy");
    std::string error;
    if (!writeNpyFile(path.str().str(), tensor, error))
      exitWithError(error);
    llvm::outs() << toPrintable(name) << ' ' << describe(tensor) << " -> "
                 << path << '\n';
  }
}

void addRunCommand(CLI::App &app) {
  auto state = std::make_shared<RunState>();
  CLI::App *command = app.add_subcommand("run", "run an artifact once");
  command->add_option("ARTIFACT", state->artifact, "the artifact (.moe)")
      ->required();
  command->add_option("--input", state->inputs,
                      "NAME=FILE: an input from a .npy file or a serialized "
                      "TensorProto (.pb)");
  command->add_option("--output-dir", state->outputDir,
                      "write each output to a .npy file here (default: print "
                      "the first numbers)");
  addRunFlags(*command, state->flags);
  state->watch.addTo(*command);
  command->callback([state] { run(*state); });
}
