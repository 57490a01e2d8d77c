//===- Driver.cpp - from a model file to an artifact ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Driver.h"

#include "compiler/Artifact/ArtifactWriter.h"
#include "compiler/DeviceEmission.h"
#include "compiler/Emission.h"
#include "compiler/InstructionSetLevel.h"
#include "passes/plan/DescribeModel.h"
#include "passes/target/common/HostCalls.h"
#include "passes/target/cpu/Passes.h"
#include "passes/target/gpu/DeviceCalls.h"

#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"
#include "mlir/IR/Remarks.h"
#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "mlir/Support/FileUtilities.h"
#include "llvm/ADT/ScopeExit.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/ToolOutputFile.h"

#include <chrono>
#include <future>

using namespace mlir;
using namespace mlir::moe;
namespace json = llvm::json;

namespace {

/// Shares of the whole time, for progress, as `--time` shows them for the model
/// of the demo; what is left is for the weights.
double getWeight(Phase phase) {
  switch (phase) {
  case Phase::Import:
  case Phase::Convert:
    return 0.01;
  case Phase::Fuse:
  case Phase::Plan:
    return 0.005;
  case Phase::Lower:
    return 0.02;
  case Phase::Target:
    return 0.9;
  }
  return 0;
}

class Compilation {
public:
  Compilation(const CompileOptions &options, MLIRContext &context)
      : options(options), context(context) {}

  LogicalResult run() {
    if (failed(collectRemarks(context, remarks)))
      return failure();
    auto report = llvm::make_scope_exit([&] { printAllRemarks(); });
    for (const PhaseInfo &info : getPhases()) {
      if (options.startFrom && info.phase < *options.startFrom)
        continue;
      if (info.phase == Phase::Target && options.stopAfter != Phase::Target)
        break;
      if (failed(runPhase(info)))
        return failure();
      if (options.stopAfter == info.phase)
        return print();
      if (info.phase == Phase::Plan && !options.devices.empty())
        planned = module->clone();
    }
    if (failed(emitCode()) || failed(emitDeviceCode()))
      return failure();
    return writeArtifact();
  }

  FailureOr<ExpertModel> describeExperts() {
    for (const PhaseInfo &info : getPhases()) {
      if (info.phase == Phase::Plan)
        break;
      if (failed(runPhase(info)))
        return failure();
    }
    return describeModel(*module);
  }

private:
  LogicalResult runPhase(const PhaseInfo &info) {
    auto start = std::chrono::steady_clock::now();
    if (options.onProgress)
      options.onProgress(info.name, progress);
    if (!module && failed(load()))
      return failure();
    if (info.phase == Phase::Plan && failed(recordExperts()))
      return failure();
    if (info.phase != Phase::Import &&
        failed(runPasses(*module, info.phase, getWantedLevels().back())))
      return failure();
    if (info.phase == Phase::Convert && failed(checkMissed()))
      return failure();
    progress += getWeight(info.phase);
    reportTime(info.name, start);
    return dump(info.name, *module);
  }

  LogicalResult load() {
    StringRef path = options.modelPath;
    if (options.startFrom && *options.startFrom != Phase::Import) {
      module = parseSourceFile<ModuleOp>(path, &context);
    } else {
      module = onnx::importModel(path, context, options.import);
    }
    return success(static_cast<bool>(module));
  }

  LogicalResult runPasses(ModuleOp target, Phase phase, StringRef isa) {
    PassManager manager(&context);
    manager.enableVerifier(false);
    buildPhase(phase, manager, isa, options.precision);
    return manager.run(target);
  }

  /// Later phases no longer know what an expert is.
  LogicalResult recordExperts() {
    ExpertModel model = describeModel(*module);
    if (model.layers.empty() && options.makePlan)
      emitWarning(UnknownLoc::get(&context))
          << "there are no experts to spread over ranks: the artifact is for "
             "one rank";
    if (model.layers.empty())
      return success();
    experts = std::move(*toJSON(model).getAsObject());
    return options.makePlan ? placeExperts(model) : success();
  }

  /// Notes the plan at the layers and for the manifest.
  LogicalResult placeExperts(const ExpertModel &model) {
    llvm::Expected<Plan> plan = options.makePlan(model);
    if (!plan)
      return emitError(UnknownLoc::get(&context))
             << llvm::toString(plan.takeError());
    int64_t ranks = plan->machine.getNumRanks();
    if (ranks == 1)
      return success();
    if (plan->dense == DenseKind::Sharded)
      emitWarning(UnknownLoc::get(&context))
          << "ranks do not share the work outside the experts: each of them "
             "computes all tokens there, with all dense weights";
    bool isOwn = plan->dense == DenseKind::Replicated;
    layout = json::Object{{"ranks", ranks},
                          {"ranks_per_node", plan->machine.ranksPerNode},
                          {"tokens", isOwn ? "own" : "shared"}};
    Builder builder(&context);
    json::Array &layers = *experts.getArray("layers");
    for (auto [i, op] : llvm::enumerate(getExpertLayers(*module))) {
      SmallVector<Attribute> lists;
      json::Array places;
      for (const Turns &turns : plan->layers[i].placement) {
        SmallVector<int64_t> numbers(turns.begin(), turns.end());
        lists.push_back(builder.getI64ArrayAttr(numbers));
        places.push_back(json::Array(numbers));
      }
      SmallVector<Attribute> exchange;
      for (const ExchangeChoice &choice : plan->layers[i].exchange) {
        exchange.push_back(
            builder.getStringAttr(getExchangeName(choice.exchange)));
        if (choice.maxTokens != ExchangeChoice::kUnbounded)
          exchange.push_back(builder.getI64IntegerAttr(choice.maxTokens));
      }
      op->setAttr(MoEDialect::kPlacementAttr,
                  PlacementAttr::get(&context, ranks,
                                     builder.getArrayAttr(lists),
                                     builder.getArrayAttr(exchange)));
      json::Object &layer = *layers[i].getAsObject();
      layer["placement"] = std::move(places);
      layer["exchange"] = json::Array(plan->layers[i].exchange);
      for (const std::string &text : plan->layers[i].remarks)
        remark::passed(op.getLoc(), remark::RemarkOpts::name("experts placed")
                                        .category("moe-place-experts"))
            << remark::metric("why", text);
    }
    return success();
  }

  LogicalResult checkMissed() {
    if (!options.failOnMissed)
      return success();
    for (const CollectedRemark &remark : remarks)
      if (remark.kind == "missed")
        return emitError(
                   NameLoc::get(StringAttr::get(&context, remark.location)))
               << remark.message;
    return success();
  }

  /// The names of the wanted instruction set levels, lowest first.
  std::vector<std::string> getWantedLevels() const {
    std::vector<std::string> wanted;
    for (const InstructionSetLevel &level : getInstructionSetLevels())
      if (options.isas.empty() || llvm::is_contained(options.isas, level.name))
        wanted.push_back(level.name.str());
    return wanted;
  }

  /// Without a wish, levels whose code would be that of the one below are left
  /// out.
  void chooseLevels() {
    isas = getWantedLevels();
    if (options.isas.empty())
      llvm::erase_if(isas,
                     [&](StringRef isa) { return !usesLevel(*module, isa); });
  }

  /// Compiles a copy of the module for each instruction set. While LLVM works
  /// on one copy in a thread of its own, the passes work on the next.
  LogicalResult emitCode() {
    chooseLevels();
    size_t count = isas.size();
    code.resize(count);
    std::vector<CodeEmission> emissions(count);
    std::vector<std::future<LogicalResult>> results;
    LogicalResult prepared = success();
    for (size_t i = 0; i < count && succeeded(prepared); ++i) {
      auto start = std::chrono::steady_clock::now();
      const std::string &isa = isas[i];
      if (options.onProgress)
        options.onProgress("code for " + isa, progress);
      code[i].isa = isa;
      prepared = prepareCode(isa, emissions[i]);
      if (succeeded(prepared))
        results.push_back(std::async(std::launch::async, [&, i] {
          return emissions[i].emit(code[i].bytes);
        }));
      progress += getWeight(Phase::Target) / count;
      reportTime("passes for " + isa, start);
    }
    auto start = std::chrono::steady_clock::now();
    for (std::future<LogicalResult> &result : results)
      if (failed(result.get()))
        prepared = failure();
    reportTime("code", start);
    return prepared;
  }

  LogicalResult prepareCode(StringRef isa, CodeEmission &emission) {
    OwningOpRef<ModuleOp> copy = module->clone();
    if (failed(runPasses(*copy, Phase::Target, isa)) ||
        failed(dump("target-" + isa, *copy)))
      return failure();
    return emission.translate(*copy, isa, options.sanitize);
  }

  /// Compiles a copy of the planned module for each device architecture.
  LogicalResult emitDeviceCode() {
    for (const std::string &arch : options.devices) {
      auto start = std::chrono::steady_clock::now();
      if (options.onProgress)
        options.onProgress("code for " + arch, progress);
      DeviceVariant &device = devices.emplace_back();
      device.code.arch = arch;
      // IR that begins after the plan phase has no other form.
      OwningOpRef<ModuleOp> copy = (planned ? *planned : *module).clone();
      if (failed(compileForDevice(*copy, device)))
        return failure();
      reportTime("code for " + arch, start);
    }
    return success();
  }

  /// States that grow in place and records of the routing are for programs
  /// whose buffers the host can reach.
  static void keepOnHost(ModuleOp target) {
    SmallVector<func::CallOp> records;
    target.walk([&](func::CallOp call) {
      if (call.getCallee().starts_with(kHostRecordRouting))
        records.push_back(call);
    });
    for (func::CallOp call : records)
      call.erase();
    if (auto main = target.lookupSymbol<func::FuncOp>("main"))
      main->setAttr(kStates, ArrayAttr::get(target.getContext(), {}));
  }

  LogicalResult compileForDevice(ModuleOp target, DeviceVariant &device) {
    StringRef arch = device.code.arch;
    keepOnHost(target);
    PassManager manager(&context);
    manager.enableVerifier(false);
    if (planned)
      buildDeviceLower(manager);
    buildDeviceTarget(manager, arch);
    if (failed(manager.run(target)) || failed(dump("target-" + arch, target)))
      return failure();
    auto kernels = target.lookupSymbol<ModuleOp>(kKernelModule);
    if (failed(emitPTX(kernels, device.code)) ||
        failed(assemble(target.getLoc(), device.code)))
      return failure();
    kernels.erase();
    CodeEmission emission;
    // Any machine with a device runs this code.
    if (failed(emission.translate(target, "x86-64", options.sanitize)))
      return failure();
    return emission.emit(device.host);
  }

  LogicalResult writeArtifact() {
    auto start = std::chrono::steady_clock::now();
    ArtifactOptions artifact;
    artifact.modelPath = options.modelPath;
    artifact.baseDir = options.baseDir;
    artifact.codeObjects = std::move(code);
    artifact.devices = std::move(devices);
    artifact.compileOptions = {{"cpu", llvm::join(isas, ",")},
                               {"weights", options.precision.weights},
                               {"activations", options.precision.activations}};
    if (!options.devices.empty())
      artifact.compileOptions.emplace_back("devices",
                                           llvm::join(options.devices, ","));
    for (const CollectedRemark &remark : remarks)
      if (remark.kind == "passed")
        artifact.fusedBlocks.push_back(remark.location + ": " + remark.message);
    artifact.layout = std::move(layout);
    artifact.experts = std::move(experts);
    // What the phases leave of the whole.
    if (options.onProgress)
      artifact.onProgress = [&](uint64_t written, uint64_t total) {
        options.onProgress("weights",
                           progress + (1 - progress) * written / total);
      };
    LogicalResult result =
        moe::writeArtifact(*module, artifact, options.outputPath);
    reportTime("artifact", start);
    return result;
  }

  /// Prints the IR to the output instead of an artifact.
  LogicalResult print() {
    if (options.outputPath.empty())
      return success();
    std::string error;
    std::unique_ptr<llvm::ToolOutputFile> file =
        openOutputFile(options.outputPath, &error);
    if (!file)
      return emitError(UnknownLoc::get(&context)) << error;
    module->print(file->os(), getPrintingFlags());
    file->os() << '\n';
    file->keep();
    return success();
  }

  static OpPrintingFlags getPrintingFlags() {
    return OpPrintingFlags().elideLargeElementsAttrs(
        std::numeric_limits<int64_t>::max());
  }

  LogicalResult dump(const Twine &name, ModuleOp target) {
    if (options.dumpDir.empty())
      return success();
    std::error_code code = llvm::sys::fs::create_directories(options.dumpDir);
    SmallString<128> path(options.dumpDir);
    std::string file;
    llvm::raw_string_ostream(file)
        << llvm::format("%02u-", dumped++) << name << ".mlir";
    llvm::sys::path::append(path, file);
    if (!code) {
      llvm::raw_fd_ostream stream(path, code);
      if (!code)
        target->print(stream, getPrintingFlags());
    }
    if (code)
      return emitError(UnknownLoc::get(&context))
             << "cannot write '" << path << "': " << code.message();
    return success();
  }

  void reportTime(const Twine &name,
                  std::chrono::steady_clock::time_point start) {
    if (!options.reportTime)
      return;
    std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - start;
    llvm::errs() << llvm::format("%8.3f s  ", elapsed.count()) << name << '\n';
  }

  void printAllRemarks() {
    if (options.remarkList)
      *options.remarkList = remarks;
    if (options.remarks == RemarkFormat::Text)
      printRemarks(remarks, llvm::errs());
    else if (options.remarks == RemarkFormat::YAML)
      printRemarksAsYAML(remarks, llvm::errs());
  }

  const CompileOptions &options;
  MLIRContext &context;
  OwningOpRef<ModuleOp> module;
  /// The module after the plan phase, for devices.
  OwningOpRef<ModuleOp> planned;
  RemarkList remarks;
  /// The instruction set levels that code is generated for, lowest first.
  std::vector<std::string> isas;
  std::vector<CodeObject> code;
  std::vector<DeviceVariant> devices;
  /// Of the plan; empty for one rank.
  json::Object layout;
  json::Object experts;
  double progress = 0;
  unsigned dumped = 0;
};

} // namespace

FailureOr<ExpertModel> moe::readExpertModel(const CompileOptions &options,
                                            MLIRContext &context) {
  return Compilation(options, context).describeExperts();
}

LogicalResult moe::compileModel(const CompileOptions &options,
                                MLIRContext &context) {
  return Compilation(options, context).run();
}
