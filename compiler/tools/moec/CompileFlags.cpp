//===- CompileFlags.cpp - flags of every command that compiles --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/CompileFlags.h"

#include "compiler/DeviceEmission.h"
#include "compiler/InstructionSetLevel.h"
#include "compiler/Register.h"

#include "mlir/IR/Diagnostics.h"
#include "mlir/InitAllDialects.h"
#include "mlir/InitAllExtensions.h"

#include <CLI/CLI.hpp>

using namespace mlir;
using namespace mlir::moe;

/// The parts of NAME=N; nothing if it is something else.
static std::optional<std::pair<StringRef, int64_t>>
parseSequence(StringRef text) {
  auto [name, length] = text.rsplit('=');
  int64_t number;
  if (name.empty() || length.getAsInteger(10, number) || number < 0)
    return std::nullopt;
  return std::make_pair(name, number);
}

static std::string checkSequence(const std::string &text) {
  if (parseSequence(text))
    return "";
  return "expected NAME=N with N not negative, got '" + text + "'";
}

void CompileFlags::addTo(CLI::App &command) {
  std::vector<std::string> known = {"cpu"};
  for (StringRef arch : getDeviceArchitectures())
    known.push_back(arch.str());
  command
      .add_option("--target", targets,
                  "what to compile for: cpu, which is always included, and "
                  "device architectures")
      ->delimiter(',')
      ->check(CLI::IsMember(known));
  std::vector<std::string> levels = {"native"};
  for (const InstructionSetLevel &level : getInstructionSetLevels())
    levels.push_back(level.name.str());
  command
      .add_option("--cpu", cpus,
                  "instruction set levels to generate code for (default: all "
                  "that make a difference for the model)")
      ->delimiter(',')
      ->check(CLI::IsMember(levels));
  command
      .add_option("--weights", precision.weights,
                  "keep the type of weights; or round floats in weights of "
                  "products and experts to bf16; or quantise them, with a "
                  "scale for 128 (int8) or 32 (int4) rows of a column")
      ->check(CLI::IsMember({"keep", "bf16", "int8", "int4"}));
  command
      .add_option(
          "--activations", precision.activations,
          "when to round what quantised weights multiply to eight bits, "
          "on processors that multiply bytes: keep (never; the "
          "default), model (where the model allows it: accuracy_level "
          "4) or int8 (always)")
      ->check(CLI::IsMember({"keep", "model", "int8"}));
  command
      .add_option("--sequence", sequences,
                  "NAME=N: the input NAME, a sequence, holds N tensors, which "
                  "become the inputs NAME.0, NAME.1, ...")
      ->check(checkSequence);
  ranks.addTo(command);
  command
      .add_option("--sanitize", sanitizer,
                  "address: check every access of the code to memory; run it "
                  "with the AddressSanitizer library preloaded")
      ->check(CLI::IsMember({"address"}));
}

void CompileFlags::apply(CompileOptions &options) const {
  options.precision = precision;
  options.sanitize = sanitizer == "address";
  for (StringRef text : sequences)
    if (auto given = parseSequence(text))
      options.import.sequenceLengths[given->first.str()] = given->second;
  for (const std::string &target : targets)
    if (target != "cpu" && !llvm::is_contained(options.devices, target))
      options.devices.push_back(target);
  ranks.apply(options);
  for (const std::string &cpu : cpus)
    options.isas.push_back(cpu == "native" ? getNativeInstructionSet().str()
                                           : cpu);
}

/// The ONNX node or the place in a file that `location` names.
static std::string describe(Location location) {
  if (auto name = dyn_cast<NameLoc>(location))
    return "node '" + name.getName().str() + "'";
  if (auto file = dyn_cast<FileLineColLoc>(location)) {
    std::string place = file.getFilename().str();
    if (file.getLine())
      place += ":" + std::to_string(file.getLine()) + ":" +
               std::to_string(file.getColumn());
    return place;
  }
  if (auto fused = dyn_cast<FusedLoc>(location))
    for (Location inner : fused.getLocations())
      if (std::string text = describe(inner); !text.empty())
        return text;
  if (auto call = dyn_cast<CallSiteLoc>(location))
    return describe(call.getCallee());
  return {};
}

static void print(Diagnostic &diagnostic) {
  StringRef severity = "error";
  if (diagnostic.getSeverity() == DiagnosticSeverity::Warning)
    severity = "warning";
  else if (diagnostic.getSeverity() != DiagnosticSeverity::Error)
    severity = "note";
  std::string place = describe(diagnostic.getLocation());
  llvm::errs() << "moec: " << severity << ": " << place
               << (place.empty() ? "" : ": ") << diagnostic.str() << '\n';
  for (Diagnostic &note : diagnostic.getNotes())
    print(note);
}

/// Calls `function` with a context that prints diagnostics.
static void runWithDiagnostics(function_ref<void(MLIRContext &)> function) {
  DialectRegistry registry;
  registerAllDialects(registry);
  registerAllExtensions(registry);
  moe::registerDialects(registry);
  MLIRContext context(registry);
  context.printOpOnDiagnostic(false);
  context.getDiagEngine().registerHandler([](Diagnostic &diagnostic) {
    if (diagnostic.getSeverity() != DiagnosticSeverity::Remark)
      print(diagnostic);
    return success();
  });
  function(context);
}

bool compileWithDiagnostics(const CompileOptions &options) {
  bool compiled = false;
  runWithDiagnostics([&](MLIRContext &context) {
    compiled = succeeded(compileModel(options, context));
  });
  return compiled;
}

std::optional<ExpertModel>
readExpertModelWithDiagnostics(const CompileOptions &options) {
  std::optional<ExpertModel> result;
  runWithDiagnostics([&](MLIRContext &context) {
    FailureOr<ExpertModel> model = readExpertModel(options, context);
    if (succeeded(model))
      result = std::move(*model);
  });
  return result;
}
