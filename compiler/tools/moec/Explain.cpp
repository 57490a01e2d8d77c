//===- Explain.cpp - moec explain -------------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What the passes recognised is in their remarks; this command only puts the
// remarks of one block together.
//
//===----------------------------------------------------------------------===//

#include "compiler/Remarks.h"
#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/CompileFlags.h"
#include "compiler/tools/moec/Printable.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

using namespace mlir;
using namespace mlir::moe;

namespace {

/// The remarks about one block of experts.
struct ExplainedBlock {
  const CollectedRemark *experts = nullptr, *router = nullptr;
  bool expertsFused = false, routingFused = false;
};

/// Models that route by a formula. Other models may share it.
StringRef guessFamily(const ExplainedBlock &block) {
  if (!block.router)
    return "";
  const CollectedRemark &router = *block.router;
  StringRef score = router.getArgument("score");
  bool late = router.getArgument("order") == "select_then_score";
  bool sum = router.getArgument("normalize") != "none";
  bool bias = router.getArgument("select_bias") == "yes";
  StringRef groups = router.getArgument("groups");
  if (router.name == "every token visits every expert")
    return "a mixture without a choice (Jacobs et al. 1991)";
  if (score == "sqrt_softplus")
    return "DeepSeek-V4";
  if (score == "sparse_mixer")
    return "Phi-3.5-MoE";
  if (score == "softmax" && late)
    return "GPT-OSS, Granite, Aria";
  if (score == "sigmoid" && late)
    return "Llama 4, Cohere";
  if (score == "softmax" && groups != "none" && !groups.empty())
    return "DeepSeek-V2";
  if (score == "sigmoid" && groups != "none" && !groups.empty())
    return "DeepSeek-V3, GLM-4.5, dots.llm1, Kimi";
  if (score == "sigmoid")
    return "MiniMax-M2, LFM2, HY-V3";
  if (score == "softmax" && bias)
    return "ERNIE 4.5, LongCat";
  if (score == "softmax")
    return sum ? "Mixtral, Qwen3-MoE, Hunyuan"
               : "Qwen1.5-MoE, OLMoE, DeepSeek-V2-Lite, Jamba, Grok-1";
  return "";
}

std::vector<ExplainedBlock> collectBlocks(const RemarkList &remarks) {
  std::vector<ExplainedBlock> blocks;
  auto find = [&](const CollectedRemark &remark) -> ExplainedBlock * {
    for (ExplainedBlock &block : blocks)
      if (block.experts && block.experts->location == remark.location)
        return &block;
    return nullptr;
  };
  for (const CollectedRemark &remark : remarks) {
    if (remark.category == "moe-raise-experts") {
      blocks.emplace_back().experts = &remark;
    } else if (ExplainedBlock *block = find(remark)) {
      if (remark.category == "moe-raise-routers")
        block->router = &remark;
      else if (remark.category == "moe-fuse-experts")
        block->expertsFused = true;
      else if (remark.category == "moe-fuse-routing-permutation")
        block->routingFused = true;
    }
  }
  return blocks;
}

llvm::json::Object toJSON(const ExplainedBlock &block) {
  auto fill = [](const CollectedRemark &remark) {
    llvm::json::Object object;
    for (const auto &[key, value] : remark.arguments) {
      int64_t number;
      if (key == "nodes") {
        llvm::json::Array nodes;
        SmallVector<StringRef> names;
        StringRef(value).split(names, ' ', -1, /*KeepEmpty=*/false);
        for (StringRef name : names)
          nodes.push_back(toPrintable(name.str()));
        object[key] = std::move(nodes);
      } else if (!StringRef(value).getAsInteger(10, number)) {
        object[key] = number;
      } else {
        object[key] = toPrintable(value);
      }
    }
    object["recognised"] = remark.kind == "passed";
    return object;
  };
  llvm::json::Object object = fill(*block.experts);
  object["location"] = toPrintable(block.experts->location);
  object["fused"] = block.expertsFused;
  if (!block.router)
    return object;
  llvm::json::Object router = fill(*block.router);
  router["fused with the permutation"] = block.routingFused;
  router["family"] = guessFamily(block).str();
  object["router"] = std::move(router);
  return object;
}

void print(const ExplainedBlock &block, llvm::raw_ostream &stream) {
  const CollectedRemark &experts = *block.experts;
  stream << toPrintable(experts.location) << ": ";
  if (experts.kind != "passed") {
    stream << "not recognised\n  nearest form: "
           << experts.getArgument("nearest form")
           << "\n  reason:       " << experts.getArgument("reason") << '\n';
    return;
  }
  stream << experts.getArgument("form");
  if (StringRef count = experts.getArgument("experts"); !count.empty())
    stream << ", " << experts.getArgument("top_k") << " of " << count << ", "
           << experts.getArgument("activation");
  stream << '\n';
  if (block.router) {
    if (block.router->kind == "passed") {
      stream << "  router:   ";
      llvm::interleaveComma(block.router->arguments, stream, [&](auto &entry) {
        stream << entry.first << ' ' << entry.second;
      });
      if (block.router->arguments.empty())
        stream << block.router->name;
    } else {
      stream << "  router:   kept as it is: "
             << block.router->getArgument("reason");
    }
    stream << '\n';
    if (StringRef family = guessFamily(block); !family.empty())
      stream << "  as in:    " << family << '\n';
  }
  SmallVector<StringRef> nodes;
  experts.getArgument("nodes").split(nodes, ' ', -1, /*KeepEmpty=*/false);
  if (!nodes.empty())
    stream << "  replaces: " << nodes.size() << " nodes, "
           << toPrintable(nodes.front().str()) << " to "
           << toPrintable(nodes.back().str()) << '\n';
  stream << "  fused:    "
         << (block.routingFused ? "experts, and the router with the permutation"
             : block.expertsFused ? "experts"
                                  : "nothing")
         << '\n';
}

} // namespace

static void explain(const std::string &model, bool asJSON) {
  CompileOptions options;
  options.modelPath = model;
  options.stopAfter = Phase::Fuse;
  RemarkList remarks;
  options.remarkList = &remarks;
  if (!compileWithDiagnostics(options))
    throw CLI::RuntimeError(1);
  std::vector<ExplainedBlock> blocks = collectBlocks(remarks);
  if (asJSON) {
    llvm::json::Array array;
    for (const ExplainedBlock &block : blocks)
      array.push_back(toJSON(block));
    llvm::outs() << llvm::formatv("{0:2}", llvm::json::Value(llvm::json::Object{
                                               {"blocks", std::move(array)}}))
                 << '\n';
    return;
  }
  for (const ExplainedBlock &block : blocks)
    print(block, llvm::outs());
  if (blocks.empty())
    llvm::outs() << "no mixture of experts found\n";
}

void addExplainCommand(CLI::App &app) {
  auto model = std::make_shared<std::string>();
  auto asJSON = std::make_shared<bool>(false);
  CLI::App *command = app.add_subcommand(
      "explain", "list the MoE blocks of a model and what became of them");
  command->add_option("MODEL", *model, "the model (.onnx, .onnxtxt)")
      ->required();
  command->add_flag("--json", *asJSON, "print JSON");
  command->callback([model, asJSON] { explain(*model, *asJSON); });
}
