//===- Plan.cpp - moec plan -----------------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Commands.h"
#include "compiler/tools/moec/PlanInputs.h"
#include "compiler/tools/moec/PlanReport.h"
#include "compiler/tools/moec/RoutingTraceFile.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

#include <CLI/CLI.hpp>

using namespace mlir::moe;
namespace json = llvm::json;

namespace {
struct PlanState {
  std::string dense;
  std::string model, machine, trace, replicas = "0", planner = "search";
  std::string loads = "uniform", output, page, other;
  int ranks = 0, nodes = 0;
  int64_t tokens = 0, traceTokens = 4096;
  bool asJson = false;
};
} // namespace

template <typename T> static T getOrExit(llvm::Expected<T> value) {
  if (!value)
    exitWithError(llvm::toString(value.takeError()));
  return std::move(*value);
}

static void writeFile(const std::string &path, const std::string &text) {
  std::error_code code;
  llvm::raw_fd_ostream stream(path, code);
  if (!code) {
    stream << text;
    stream.close();
    code = stream.error();
    stream.clear_error();
  }
  if (code)
    exitWithError("cannot write '" + path + "': " + code.message());
}

static Machine getMachine(const PlanState &state, const Machine &known) {
  Machine machine = known;
  if (!state.machine.empty())
    machine = readMachineFile(state.machine);
  if (state.ranks == 0 && state.nodes == 0 && !machine.ranks.empty())
    return machine;
  int ranks = state.ranks ? state.ranks : machine.getNumRanks();
  if (ranks == 0)
    exitWithError("expected --ranks or --machine");
  // As many ranks on a node as before, where that is possible.
  int nodes = state.nodes;
  if (nodes == 0)
    nodes = ranks % machine.ranksPerNode == 0 && machine.getNumNodes() > 1
                ? ranks / machine.ranksPerNode
                : 1;
  return getOrExit(machine.resize(ranks, nodes));
}

static RoutingTrace getTrace(const PlanState &state, const ExpertModel &model) {
  RoutingTrace trace =
      state.trace.empty()
          ? getOrExit(drawTrace(model, state.loads, state.traceTokens))
          : getOrExit(readRoutingTrace(state.trace));
  if (llvm::Error error = trace.check(model))
    exitWithError(llvm::toString(std::move(error)));
  return trace;
}

static Plan readOtherPlan(const std::string &path, const Plan &plan) {
  Plan other = readPlanInput(path);
  if (other.layers.empty())
    exitWithError("expected a plan in '" + path + "', got a model");
  bool same = other.layers.size() == plan.layers.size();
  for (size_t i = 0; same && i < plan.layers.size(); ++i)
    same = other.layers[i].placement.size() == plan.layers[i].placement.size();
  if (!same)
    exitWithError("expected a plan of the same model in '" + path + "'");
  return other;
}

static void plan(const PlanState &state, bool again) {
  Plan plan = readPlanInput(state.model);
  RoutingTrace trace = getTrace(state, plan.model);
  if (plan.layers.empty() || again) {
    PlanOptions options;
    options.planner = *parsePlanner(state.planner);
    options.dense = parseDense(state.dense);
    options.extraReplicas =
        parseReplicas(state.replicas, plan.model.layers.front().experts);
    Machine machine = getMachine(state, plan.machine);
    options.tokens =
        state.tokens ? state.tokens : kTokensPerRank * machine.getNumRanks();
    plan = getOrExit(makePlan(plan.model, machine, trace, options));
  } else if (state.tokens) {
    plan.options.tokens = state.tokens;
  }

  PredictedPlan predicted(std::move(plan), trace);
  if (!state.output.empty() || !state.page.empty() || state.asJson) {
    json::Object object = toJSON(predicted, trace);
    if (!state.page.empty())
      writeFile(state.page, makePlanPage(object));
    std::string text =
        llvm::formatv("{0}\n", json::Value(std::move(object))).str();
    if (!state.output.empty())
      writeFile(state.output, text);
    if (state.asJson)
      llvm::outs() << text;
  }
  if (!state.other.empty()) {
    Plan other = readOtherPlan(state.other, predicted.plan);
    printPlanDiff(PredictedPlan(std::move(other), trace), predicted,
                  llvm::outs());
  } else if (!state.asJson) {
    printPlan(predicted, llvm::outs());
  }
}

void addPlanCommand(CLI::App &app) {
  auto state = std::make_shared<PlanState>();
  CLI::App *command = app.add_subcommand(
      "plan", "plan which ranks hold which experts, and predict the time");
  command
      ->add_option("MODEL", state->model,
                   "a model (.onnx), an artifact (.moe), or a plan file "
                   "(.json), which is only judged unless an option asks for "
                   "another plan")
      ->required();
  command->add_option("--ranks", state->ranks, "the number of ranks")
      ->check(CLI::PositiveNumber);
  command
      ->add_option(
          "--nodes", state->nodes,
          "the nodes they are on (default: those of the machine, or 1)")
      ->check(CLI::PositiveNumber);
  command->add_option("--machine", state->machine,
                      "a machine file: ranks, memory, links");
  CLI::Option *trace = command->add_option(
      "--routing-trace", state->trace,
      "a .npz file of expert ids (default: drawn from --loads)");
  command
      ->add_option("--loads", state->loads,
                   "how tokens choose experts: uniform, zipf:S or skewed")
      ->excludes(trace);
  command
      ->add_option("--trace-tokens", state->traceTokens,
                   "the number of tokens to draw (default: 4096)")
      ->check(CLI::Range(int64_t(1), int64_t(1) << 24));
  command->add_option("--replicas", state->replicas,
                      "replicas of each layer beyond one of each expert, as a "
                      "number or with % of its experts (default: 0)");
  command
      ->add_option("--tokens", state->tokens,
                   "tokens of a step over all ranks (default: 64 a rank)")
      ->check(CLI::PositiveNumber);
  command
      ->add_option("--planner", state->planner,
                   "search (default), greedy, round-robin or random")
      ->check(CLI::IsMember({"search", "greedy", "round-robin", "random"}));
  command
      ->add_option("--dense", state->dense,
                   "how the weights outside the experts are held: replicated "
                   "(each rank computes tokens of its own), repeated (all "
                   "ranks compute all tokens) or sharded (each rank has a "
                   "part of each matrix; predicted only); default: the faster "
                   "one of replicated and sharded")
      ->check(CLI::IsMember({"replicated", "repeated", "sharded"}));
  command->add_option("-o,--output", state->output, "write a plan file");
  command->add_option("--html", state->page, "write a page with pictures");
  command->add_option("--diff", state->other,
                      "print what changes from the plan in this file");
  command->add_flag("--json", state->asJson, "print the plan file");
  command->callback([state, command] {
    bool again = false;
    for (const char *option : {"--ranks", "--nodes", "--machine", "--replicas",
                               "--planner", "--dense"})
      again |= command->count(option) > 0;
    plan(*state, again);
  });
}
