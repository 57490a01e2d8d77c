//===- PlanInputs.cpp - what moec plan reads ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/PlanInputs.h"

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/CompileFlags.h"
#include "compiler/tools/moec/TensorFile.h"
#include "runtime/format/Reader.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/Path.h"

#include <CLI/CLI.hpp>

using namespace mlir::moe;
namespace json = llvm::json;

static std::string read(const std::string &path) {
  std::string contents, error;
  if (!readFile(path, contents, error))
    exitWithError(error);
  return contents;
}

template <typename T>
static T getOrExit(llvm::Expected<T> value, const std::string &path) {
  if (!value)
    exitWithError("'" + path + "': " + llvm::toString(value.takeError()));
  return std::move(*value);
}

/// From the manifest, where the compiler has written it.
static ExpertModel readArtifact(const std::string &path) {
  moert::Reader reader;
  std::string text;
  moert::Status status = moert::Reader::open(path, reader);
  if (status.ok())
    status = reader.read(*reader.find(moert::SectionKind::Manifest), text);
  if (!status.ok())
    exitWithError(status.message());
  llvm::Expected<json::Value> manifest = json::parse(text);
  const json::Object *object = manifest ? manifest->getAsObject() : nullptr;
  if (!object) {
    llvm::consumeError(manifest.takeError());
    exitWithError("'" + path + "' has a malformed manifest");
  }
  ExpertModel model;
  const json::Value *experts = object->get("experts");
  if (!experts)
    return model;
  json::Path::Root root("experts");
  if (!fromJSON(*experts, model, root))
    exitWithError("'" + path + "' has a malformed manifest: " +
                  llvm::toString(root.getError()));
  return model;
}

static ExpertModel readONNX(const std::string &path) {
  CompileOptions options;
  options.modelPath = path;
  std::optional<ExpertModel> model = readExpertModelWithDiagnostics(options);
  if (!model)
    throw CLI::RuntimeError(1);
  return *model;
}

Plan readPlanInput(const std::string &path) {
  llvm::StringRef extension = llvm::sys::path::extension(path);
  Plan plan;
  if (extension == ".json")
    plan = getOrExit(parsePlan(read(path)), path);
  else
    plan.model = extension == ".moe" ? readArtifact(path) : readONNX(path);
  if (plan.model.layers.empty())
    exitWithError("expected a model with layers of experts, found none in '" +
                  path + "'");
  if (plan.model.name.empty())
    plan.model.name = llvm::sys::path::filename(path).str();
  return plan;
}

Machine readMachineFile(const std::string &path) {
  return getOrExit(Machine::parse(read(path)), path);
}

int64_t parseReplicas(const std::string &text, int64_t experts) {
  llvm::StringRef number = text;
  bool percent = number.consume_back("%");
  double value;
  if (number.getAsDouble(value) || !(value >= 0 && value <= 1e6))
    exitWithError("expected --replicas as a number or a percentage, got '" +
                  text + "'");
  return percent ? std::llround(experts * value / 100) : std::llround(value);
}
