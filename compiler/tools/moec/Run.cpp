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

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/Program.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <cstdlib>
#include <fstream>
#include <unistd.h>

namespace {
struct RunState {
  std::string artifact;
  std::vector<std::string> inputs;
  std::string outputDir;
  int ranks = 0;
  bool showsBytes = false;
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
static void launchRanks(int ranks, llvm::StringRef transport) {
  llvm::ErrorOr<std::string> launcher = llvm::sys::findProgramByName("mpirun");
  if (!launcher)
    exitWithError(
        "found no mpirun, which --ranks needs; without --ranks, ranks "
        "are threads of one process");
  std::string count = std::to_string(ranks);
  if (transport == "nccl") {
    // All ranks are on this machine; the number keeps runs apart.
    constexpr int kFirstPort = 20000, kPorts = 10000;
    std::string address =
        "127.0.0.1:" + std::to_string(kFirstPort + getpid() % kPorts);
    setenv("NCCL_COMM_ID", address.c_str(), /*overwrite=*/0);
  }
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

using NamedTensors = std::vector<std::pair<std::string, Tensor>>;

/// In the name of a file of an input: the number of the rank.
static constexpr llvm::StringLiteral kRankPlace = "%r";

static bool namesRank(llvm::StringRef argument) {
  return argument.contains(kRankPlace);
}

/// The inputs; of a rank, if it has its own.
static NamedTensors readInputs(const std::vector<std::string> &arguments,
                               std::optional<size_t> rank) {
  NamedTensors result;
  for (const std::string &argument : arguments) {
    auto [name, file] = llvm::StringRef(argument).split('=');
    if (name.size() == argument.size())
      exitWithError("expected --input NAME=FILE, got '" + argument + "'");
    std::string path = file.str(), error;
    for (size_t at; rank && (at = path.find(kRankPlace)) != std::string::npos;)
      path.replace(at, kRankPlace.size(), std::to_string(*rank));
    if (!readTensorFile(path, result.emplace_back(name, Tensor()).second,
                        error))
      exitWithError(error);
  }
  return result;
}

/// Prints the outputs of a rank of this process, or writes them to a folder.
static void report(const Model &model, size_t localRank,
                   llvm::StringRef folder) {
  if (!folder.empty())
    if (std::error_code code = llvm::sys::fs::create_directories(folder))
      exitWithError("cannot create '" + folder.str() + "': " + code.message());
  for (size_t i = 0; i < model.getOutputs().size(); ++i) {
    const char *name = model.getOutputs()[i].name;
    moe_tensor_t tensor = model.getOutput(i, localRank);
    if (folder.empty()) {
      print(name, tensor);
      continue;
    }
    llvm::SmallString<128> path(folder);
    llvm::sys::path::append(path, toFileName(name) + ".npy");
    std::string error;
    if (!writeNpyFile(path.str().str(), tensor, error))
      exitWithError(error);
    llvm::outs() << toPrintable(name) << ' ' << describe(tensor) << " -> "
                 << path << '\n';
  }
}

static void run(const RunState &state) {
  if (state.ranks > 0 && !std::getenv("OMPI_COMM_WORLD_SIZE"))
    return launchRanks(state.ranks, state.flags.transport);
  Model model(state.artifact, state.flags);
  bool hasOwnInputs =
      model.hasOwnTokens() && llvm::any_of(state.inputs, namesRank);
  std::vector<NamedTensors> tensors;
  std::vector<std::vector<moe_input_t>> inputs;
  for (size_t i = 0; i < model.getLocalRanks(); ++i)
    tensors.push_back(readInputs(
        state.inputs,
        hasOwnInputs ? std::optional(model.getFirstRank() + i) : std::nullopt));
  for (const NamedTensors &own : tensors) {
    inputs.emplace_back();
    for (const auto &[name, tensor] : own)
      inputs.back().push_back({name.c_str(), tensor.view()});
  }
  state.watch.begin(model);
  model.run(inputs);
  state.watch.finish(model);
  for (size_t i = 0; state.showsBytes && i < model.getLocalRanks(); ++i)
    // In one piece: other processes print at the same time.
    llvm::outs() << llvm::formatv("rank {0} sent {1} bytes\n",
                                  model.getFirstRank() + i,
                                  model.getBytesSent(i))
                        .str();
  if (!hasOwnInputs) {
    // All ranks have the same outputs.
    if (model.isFirstRank())
      report(model, 0, state.outputDir);
    return;
  }
  for (size_t i = 0; i < model.getLocalRanks(); ++i) {
    std::string rank = "rank-" + std::to_string(model.getFirstRank() + i);
    llvm::SmallString<128> folder(state.outputDir);
    if (folder.empty())
      llvm::outs() << rank << ":\n";
    else
      llvm::sys::path::append(folder, rank);
    report(model, i, folder.str());
  }
}

void addRunCommand(CLI::App &app) {
  auto state = std::make_shared<RunState>();
  CLI::App *command = app.add_subcommand("run", "run an artifact once");
  command->add_option("ARTIFACT", state->artifact, "the artifact (.moe)")
      ->required();
  command->add_option("--input", state->inputs,
                      "NAME=FILE: an input from a .npy file or a serialized "
                      "TensorProto (.pb); for ranks with tokens of their "
                      "own, %r in FILE is the number of the rank");
  command->add_option("--output-dir", state->outputDir,
                      "write each output to a .npy file here (default: print "
                      "the first numbers)");
  command
      ->add_option("--ranks", state->ranks,
                   "run an artifact for several ranks as this many processes, "
                   "started with mpirun (default: as threads of this one)")
      ->check(CLI::Range(1, 1024));
  command
      ->add_option("--transport", state->flags.transport,
                   "what connects processes that are ranks: mpi (Open MPI; the "
                   "default) or nccl (between GPUs; NCCL_COMM_ID=HOST:PORT is "
                   "an address of rank 0)")
      ->check(CLI::IsMember({"mpi", "nccl"}));
  command->add_flag("--bytes-sent", state->showsBytes,
                    "print how many bytes each rank has sent to others");
  addRunFlags(*command, state->flags);
  state->watch.addTo(*command);
  command->callback([state] { run(*state); });
}
