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
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <fstream>

namespace {
struct RunState {
  std::string artifact;
  std::vector<std::string> inputs;
  std::string outputDir;
  int ranks = 0;
  RunFlags flags;
  WatchFlags watch;
};
} // namespace

/// The command line of this process.
static std::vector<std::string> readOwnArguments() {
  std::ifstream stream("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(stream, argument, '\0');)
    arguments.push_back(argument);
  arguments.front() = llvm::sys::fs::getMainExecutable(nullptr, nullptr);
  return arguments;
}

/// Prints the type and the first numbers of a tensor.
static void print(const char *name, const moe_tensor_t &tensor) {
  constexpr int64_t kShown = 6;
  llvm::outs() << toPrintable(name) << ' ' << describe(tensor) << " =";
  int64_t count = countElements(tensor);
  for (int64_t i = 0; i < std::min(count, kShown); ++i)
    llvm::outs() << ' ' << CLI::detail::to_string(readElement(tensor, i));
  llvm::outs() << (count > kShown ? " ...\n" : "\n");
}

/// Starts this command again as processes that are ranks.
static void launchRanks(int ranks) {
  llvm::ErrorOr<std::string> launcher = llvm::sys::findProgramByName("mpirun");
  if (!launcher)
    exitWithError(
        "found no mpirun, which --ranks needs; without --ranks, ranks "
        "are threads of one process");
  std::string count = std::to_string(ranks);
  std::vector<std::string> own = readOwnArguments();
  // Open MPI shares what it knows of the machine at an address that it guesses,
  // and at times crashes there; small jobs do not need that.
  std::vector<llvm::StringRef> arguments = {
      *launcher, "--oversubscribe", "--mca", "rtc_hwloc_vmhole", "none", "-n",
      count};
  arguments.insert(arguments.end(), own.begin(), own.end());
  std::string error;
  int code = llvm::sys::ExecuteAndWait(*launcher, arguments, std::nullopt, {},
                                       0, 0, &error);
  if (!error.empty())
    exitWithError("cannot run mpirun: " + error);
  if (code != 0)
    throw CLI::RuntimeError(1);
}

static void run(const RunState &state) {
  if (state.ranks > 0 && !std::getenv("OMPI_COMM_WORLD_SIZE"))
    return launchRanks(state.ranks);
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
  // All ranks have the same outputs.
  if (!model.isFirstRank())
    return;

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
  command
      ->add_option("--ranks", state->ranks,
                   "run an artifact for several ranks as this many processes, "
                   "started with mpirun (default: as threads of this one)")
      ->check(CLI::Range(1, 1024));
  addRunFlags(*command, state->flags);
  state->watch.addTo(*command);
  command->callback([state] { run(*state); });
}
