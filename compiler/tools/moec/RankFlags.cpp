//===- RankFlags.cpp - flags that spread experts over ranks ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/RankFlags.h"

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/PlanInputs.h"
#include "compiler/tools/moec/RoutingTraceFile.h"

#include <CLI/CLI.hpp>

using namespace mlir::moe;

/// Tokens that are drawn where there is no trace.
static constexpr int64_t kDrawnTokens = 4096;

void RankFlags::addTo(CLI::App &command) {
  CLI::Option *count =
      command
          .add_option("--ranks", ranks,
                      "spread the experts over this many ranks")
          ->check(CLI::Range(1, 1024));
  CLI::Option *grid =
      command
          .add_option("--mesh", mesh,
                      "the same with nodes: 2x4 are two nodes of four ranks")
          ->excludes(count)
          ->check([](const std::string &text) -> std::string {
            int nodes, ranks;
            char end;
            bool fits = std::sscanf(text.c_str(), "%dx%d%c", &nodes, &ranks,
                                    &end) == 2 &&
                        nodes > 0 && ranks > 0 && nodes <= 1024 / ranks;
            return fits ? ""
                        : "expected NODESxRANKS such as 2x4 with at most 1024 "
                          "ranks, got '" +
                              text + "'";
          });
  CLI::Option *file =
      command
          .add_option("--plan", plan,
                      "a plan file of moec plan: which ranks hold which "
                      "experts")
          ->excludes(count)
          ->excludes(grid);
  command
      .add_flag("--own-tokens", hasOwnTokens,
                "each rank runs inputs of its own, so that ranks share the "
                "work outside the experts, too (default: all ranks run the "
                "same inputs)")
      ->excludes(file);
  command
      .add_option("--routing-trace", trace,
                  "plan for the tokens that this file records")
      ->excludes(file);
  command
      .add_option("--max-tokens", maxTokens,
                  "the most tokens of a step over all ranks, which their plan "
                  "is made for (default: 64 a rank)")
      ->check(CLI::PositiveNumber);
  command
      .add_option("--replicas", replicas,
                  "replicas of each layer beyond one of each expert, as a "
                  "number or with % of its experts")
      ->capture_default_str()
      ->excludes(file);
}

/// The plan in a file, if it is one for `model`.
static llvm::Expected<Plan>
matchPlan(const Plan &plan, const ExpertModel &model, const std::string &path) {
  auto mismatch = [&](const llvm::Twine &what) {
    return llvm::createStringError("'" + path +
                                   "' is no plan for this model: " + what);
  };
  if (plan.layers.size() != model.layers.size())
    return mismatch("expected " + llvm::Twine(model.layers.size()) +
                    " layers, got " + llvm::Twine(plan.layers.size()));
  for (size_t i = 0; i < model.layers.size(); ++i)
    if (static_cast<int64_t>(plan.layers[i].placement.size()) !=
        model.layers[i].experts)
      return mismatch("expected " + llvm::Twine(model.layers[i].experts) +
                      " experts in layer " + llvm::Twine(i) + ", got " +
                      llvm::Twine(plan.layers[i].placement.size()));
  return plan;
}

void RankFlags::apply(CompileOptions &options) const {
  int count = ranks, nodes = 1;
  if (!mesh.empty()) {
    int perNode;
    std::sscanf(mesh.c_str(), "%dx%d", &nodes, &perNode);
    count = nodes * perNode;
  }
  if (count < 2 && plan.empty())
    return;
  if (!options.devices.empty())
    exitWithError("experts are spread over ranks on the CPU only: expected "
                  "--target=cpu with --ranks, --mesh or --plan");
  if (!plan.empty()) {
    Plan given = readPlanInput(plan);
    options.makePlan = [given, path = plan](const ExpertModel &model) {
      return matchPlan(given, model, path);
    };
    return;
  }
  options.makePlan =
      [=, flags = *this](const ExpertModel &model) -> llvm::Expected<Plan> {
    llvm::Expected<Machine> machine = Machine().resize(count, nodes);
    if (!machine)
      return machine.takeError();
    llvm::Expected<RoutingTrace> trace =
        flags.trace.empty() ? drawTrace(model, "uniform", kDrawnTokens)
                            : readRoutingTrace(flags.trace);
    if (!trace)
      return trace.takeError();
    if (llvm::Error error = trace->check(model))
      return error;
    PlanOptions planOptions;
    planOptions.dense =
        flags.hasOwnTokens ? DenseKind::Replicated : DenseKind::Repeated;
    planOptions.extraReplicas =
        parseReplicas(flags.replicas, model.layers.front().experts);
    planOptions.tokens =
        flags.maxTokens ? flags.maxTokens : kTokensPerRank * count;
    return makePlan(model, *machine, *trace, planOptions);
  };
}
