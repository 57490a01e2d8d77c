//===- Verify.cpp - moec verify -------------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/Compare.h"
#include "compiler/tools/moec/CompileFlags.h"
#include "compiler/tools/moec/Model.h"
#include "compiler/tools/moec/Printable.h"
#include "compiler/tools/moec/Progress.h"
#include "compiler/tools/moec/RoundedWeights.h"
#include "compiler/tools/moec/TensorFile.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/FileUtilities.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

#include <limits>
#include <optional>

using namespace mlir;
using namespace mlir::moe;
namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace {
struct VerifyState {
  std::string model;
  std::string data;
  Tolerance tolerance;
  /// Whether the user has stated it.
  bool hasTolerance = false;
  CompileFlags compileFlags;
  RunFlags runFlags;
};
} // namespace

static bool isDataSet(StringRef folder) {
  SmallString<128> first(folder);
  path::append(first, "input_0.pb");
  SmallString<128> output(folder);
  path::append(output, "output_0.pb");
  return fs::exists(first) || fs::exists(output);
}

/// The folder itself, or its test_data_set_N in the order of N.
static std::vector<std::string> findDataSets(const std::string &folder) {
  if (isDataSet(folder))
    return {folder};
  std::vector<std::pair<unsigned, std::string>> found;
  std::error_code code;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end;
       entry.increment(code)) {
    StringRef name = path::filename(entry->path());
    unsigned number;
    if (name.consume_front("test_data_set_") && !name.getAsInteger(10, number))
      found.emplace_back(number, entry->path());
  }
  llvm::sort(found);
  std::vector<std::string> folders;
  for (auto &[number, name] : found)
    folders.push_back(name);
  if (folders.empty())
    exitWithError("found no test_data_set_N with input_0.pb in '" + folder +
                  "'; name a folder with --data");
  return folders;
}

/// Reads KIND_INDEX.pb, which may hold a list; nothing if there is no such
/// file.
static std::optional<std::vector<Tensor>>
readTensors(StringRef folder, StringRef kind, size_t index) {
  SmallString<128> file(folder);
  path::append(file, kind + "_" + Twine(index) + ".pb");
  if (!fs::exists(file))
    return std::nullopt;
  std::vector<Tensor> tensors;
  std::string error;
  if (!readTensorFiles(file.str().str(), tensors, error))
    exitWithError(error);
  return tensors;
}

static void runDataSet(Model &model, StringRef folder) {
  size_t count = model.getInputs().size();
  std::vector<Tensor> tensors;
  for (size_t file = 0; tensors.size() < count; ++file) {
    auto list = readTensors(folder, "input", file);
    if (!list)
      exitWithError("found no file with a tensor for input '" +
                    std::string(model.getInputs()[tensors.size()].name) +
                    "' in '" + folder.str() + "'");
    for (Tensor &tensor : *list)
      tensors.push_back(std::move(tensor));
  }
  if (tensors.size() > count)
    exitWithError("expected " + std::to_string(count) +
                  " tensors in the files input_N.pb of '" + folder.str() +
                  "', got " + std::to_string(tensors.size()));
  std::vector<moe_input_t> inputs;
  for (auto [info, tensor] : llvm::zip_equal(model.getInputs(), tensors)) {
    // Some exporters store a scalar as a vector of one element.
    if (info.rank == 0 && tensor.dims == std::vector<int64_t>{1})
      tensor.dims.clear();
    inputs.push_back({info.name, tensor.view()});
  }
  model.run(inputs);
}

/// The stored value of each output, if there is one. A list is as many outputs
/// as it has tensors.
static std::vector<std::optional<Tensor>> readWanted(const Model &model,
                                                     StringRef folder) {
  size_t count = model.getOutputs().size();
  std::vector<std::optional<Tensor>> wanted;
  for (size_t file = 0; wanted.size() < count; ++file) {
    if (auto list = readTensors(folder, "output", file))
      for (Tensor &tensor : *list)
        wanted.push_back(std::move(tensor));
    else
      wanted.push_back(std::nullopt);
  }
  if (wanted.size() > count)
    exitWithError("expected " + std::to_string(count) +
                  " tensors in the files output_N.pb of '" + folder.str() +
                  "', got " + std::to_string(wanted.size()));
  return wanted;
}

/// The same for weights that have been rounded: `kept` has run on the same data
/// with weights as they are. `limit` is for the relative error of an output.
static bool compareRounded(const Model &model, const Model &kept,
                           StringRef folder, double limit) {
  bool allAgree = true;
  unsigned compared = 0;
  std::vector<std::optional<Tensor>> wanted = readWanted(model, folder);
  for (size_t i = 0; i < model.getOutputs().size(); ++i) {
    const std::optional<Tensor> &want = wanted[i];
    if (!want)
      continue;
    ++compared;
    moe_tensor_t got = model.getOutput(i);
    // Shapes, and numbers that are not floats, must be right.
    Tolerance any{0, std::numeric_limits<double>::infinity()};
    Comparison comparison = compareTensors(got, want->view(), any);
    bool agrees = comparison.agrees;
    std::string errors;
    if (agrees && isFloat(got.dtype)) {
      double stored = getRelativeError(got, want->view());
      double own = getRelativeError(got, kept.getOutput(i));
      agrees = stored <= limit && own <= limit;
      errors = llvm::formatv(" relative error {0:e2} to the stored output, "
                             "{1:e2} to weights as they are",
                             stored, own);
    }
    llvm::outs() << (agrees ? "ok    " : "WRONG ") << path::filename(folder)
                 << ' ' << toPrintable(model.getOutputs()[i].name) << ' '
                 << describe(got) << errors;
    if (!comparison.agrees)
      llvm::outs() << ": " << comparison.reason;
    llvm::outs() << '\n';
    allAgree &= agrees;
  }
  if (compared == 0)
    exitWithError("found no output_N.pb in '" + folder.str() + "'");
  return allAgree;
}

/// Prints one line for each output; true if all agree.
static bool compareDataSet(const Model &model, StringRef folder,
                           const Tolerance &tolerance) {
  bool allAgree = true;
  unsigned compared = 0;
  std::vector<std::optional<Tensor>> wanted = readWanted(model, folder);
  for (size_t i = 0; i < model.getOutputs().size(); ++i) {
    const std::optional<Tensor> &want = wanted[i];
    if (!want)
      continue;
    ++compared;
    moe_tensor_t got = model.getOutput(i);
    Comparison comparison = compareTensors(got, want->view(), tolerance);
    llvm::outs() << (comparison.agrees ? "ok    " : "WRONG ")
                 << path::filename(folder) << ' '
                 << toPrintable(model.getOutputs()[i].name) << ' '
                 << describe(got) << " worst error "
                 << llvm::format("%.3g", comparison.worstError);
    if (!comparison.agrees)
      llvm::outs() << ": " << comparison.reason;
    llvm::outs() << '\n';
    allAgree &= comparison.agrees;
  }
  if (compared == 0)
    exitWithError("found no output_N.pb in '" + folder.str() + "'");
  return allAgree;
}

/// An artifact that goes away with the object.
class TemporaryArtifact {
public:
  /// Sequences are as long as those of `dataSet`.
  TemporaryArtifact(const VerifyState &state, const PrecisionFlags &precision,
                    StringRef dataSet) {
    if (std::error_code code =
            fs::createTemporaryFile("moec-verify", "moe", path))
      exitWithError("cannot create a temporary file: " + code.message());
    remover.setFile(path);
    CompileOptions options;
    options.modelPath = state.model;
    options.outputPath = path.str().str();
    state.compileFlags.apply(options);
    options.precision = precision;
    options.import.getSequenceRanks =
        [&](unsigned index) -> std::optional<std::vector<int64_t>> {
      auto list = readTensors(dataSet, "input", index);
      if (!list)
        return std::nullopt;
      std::vector<int64_t> ranks;
      for (const Tensor &tensor : *list)
        ranks.push_back(tensor.dims.size());
      return ranks;
    };
    Progress progress(/*quiet=*/false);
    options.onProgress = [&](StringRef step, double fraction) {
      progress.update(step, fraction);
    };
    bool compiled = compileWithDiagnostics(options);
    progress.finish();
    if (!compiled)
      throw CLI::RuntimeError(1);
  }
  std::string getPath() const { return path.str().str(); }

private:
  SmallString<128> path;
  llvm::FileRemover remover;
};

/// Runs the data sets on weights that are rounded and on weights that are not.
static bool verifyRounded(const VerifyState &state, Model &model,
                          ArrayRef<std::string> dataSets) {
  TemporaryArtifact artifact(state, {}, dataSets.front());
  Model kept(artifact.getPath(), state.runFlags);
  const PrecisionFlags &precision = state.compileFlags.precision;
  unsigned count = countRoundedWeights(model.getManifest(), kept.getManifest());
  double limit = getExpectedError(precision, count);
  llvm::outs() << "weights " << precision.weights << ", activations "
               << precision.activations << ": " << count
               << " weights or their rows have been rounded, which allows a "
                  "relative error of "
               << llvm::formatv("{0:e2}", limit) << '\n';
  bool allAgree = true;
  for (const std::string &dataSet : dataSets) {
    runDataSet(model, dataSet);
    runDataSet(kept, dataSet);
    allAgree &= compareRounded(model, kept, dataSet, limit);
  }
  return allAgree;
}

static void verify(const VerifyState &state) {
  std::string folder = state.data;
  if (folder.empty())
    folder = path::parent_path(state.model).str();
  if (folder.empty())
    folder = ".";
  if (!fs::exists(state.model))
    exitWithError("cannot read '" + state.model + "': no such file");
  std::vector<std::string> dataSets = findDataSets(folder);

  const PrecisionFlags &precision = state.compileFlags.precision;
  TemporaryArtifact artifact(state, precision, dataSets.front());
  Model model(artifact.getPath(), state.runFlags);
  bool allAgree = true;
  bool rounds = precision.weights != "keep" || precision.activations != "keep";
  if (rounds && !state.hasTolerance) {
    allAgree = verifyRounded(state, model, dataSets);
  } else {
    for (const std::string &dataSet : dataSets) {
      runDataSet(model, dataSet);
      allAgree &= compareDataSet(model, dataSet, state.tolerance);
    }
  }
  if (!allAgree)
    exitWithError("outputs of '" + state.model +
                  "' do not agree with the stored ones");
}

void addVerifyCommand(CLI::App &app) {
  auto state = std::make_shared<VerifyState>();
  CLI::App *command = app.add_subcommand(
      "verify", "compile a model, run it on stored inputs, compare outputs");
  command->add_option("MODEL", state->model, "the model (.onnx, .onnxtxt)")
      ->required();
  command->add_option(
      "--data", state->data,
      "a folder with input_N.pb and output_N.pb, or with "
      "several such folders test_data_set_N (default: MODEL's)");
  command
      ->add_option("--rtol", state->tolerance.rtol,
                   "relative tolerance of each number; with --weights or "
                   "--activations other than keep the default is a limit for "
                   "the error of an output as a whole")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  command->add_option("--atol", state->tolerance.atol, "absolute tolerance")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
  state->compileFlags.addTo(*command);
  addRunFlags(*command, state->runFlags);
  command->callback([state, command] {
    state->hasTolerance =
        command->count("--rtol") != 0 || command->count("--atol") != 0;
    verify(*state);
  });
}
