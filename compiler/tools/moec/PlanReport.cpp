//===- PlanReport.cpp - plans for people and programs ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/PlanReport.h"

#include "compiler/tools/moec/Printable.h"
#include "compiler/tools/moec/Resources.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir::moe;
namespace json = llvm::json;

/// With more ranks a table of all links is of no use to anyone.
static constexpr int kMaxLinkTable = 64;

PredictedPlan::PredictedPlan(Plan plan, const RoutingTrace &trace)
    : plan(std::move(plan)), simulation(simulate(this->plan, trace)) {}

static std::string formatBytes(double bytes) {
  for (const char *unit : {"B", "kB", "MB", "GB", "TB"}) {
    if (bytes < 1000)
      return llvm::formatv("{0:f1} {1}", bytes, unit);
    bytes /= 1000;
  }
  return llvm::formatv("{0:f1} PB", bytes);
}

static std::string formatSeconds(double seconds) {
  if (seconds < 1e-3)
    return llvm::formatv("{0:f1} us", seconds * 1e6);
  if (seconds >= 1)
    return llvm::formatv("{0:f2} s", seconds);
  return llvm::formatv("{0:f2} ms", seconds * 1e3);
}

/// Of one layer, per step.
static std::string describe(const LayerSimulation &layer, int64_t steps) {
  return llvm::formatv(
      "{0} on the slowest rank, {1} on average, imbalance {2:f3}, {3} sent",
      formatSeconds(layer.seconds / steps),
      formatSeconds(layer.balancedSeconds / steps),
      getImbalance(layer.assignments),
      formatBytes(double(layer.bytes) / steps));
}

static std::string describe(const PredictedPlan &predicted) {
  const Simulation &simulation = predicted.simulation;
  double bytes = simulation.links.getTotal();
  std::string text = llvm::formatv(
      "{0} a step ({1} outside the experts), imbalance {2:f3}, {3} sent",
      formatSeconds(simulation.stepSeconds),
      formatSeconds(predicted.plan.denseSeconds), simulation.imbalance,
      formatBytes(bytes / simulation.steps));
  if (simulation.perExpertBytes > 0)
    text += llvm::formatv(" ({0:f0} % of a row for each assignment)",
                          100 * bytes / simulation.perExpertBytes);
  const Machine &machine = predicted.plan.machine;
  if (machine.getNumNodes() > 1 && simulation.perExpertBytesBetweenNodes > 0) {
    double far = simulation.links.getBetweenNodes(machine);
    text += llvm::formatv(", {0} between nodes ({1:f0} %)",
                          formatBytes(far / simulation.steps),
                          100 * far / simulation.perExpertBytesBetweenNodes);
  }
  return text;
}

void printPlan(const PredictedPlan &predicted, llvm::raw_ostream &stream) {
  const Plan &plan = predicted.plan;
  stream << toPrintable(plan.model.name) << ": " << plan.layers.size()
         << " expert layers on " << plan.machine.getNumRanks() << " ranks, "
         << plan.machine.getNumNodes() << " nodes; planner "
         << getPlannerName(plan.options.planner) << ", routing "
         << toPrintable(plan.trace) << ", steps of " << plan.options.tokens
         << " tokens\n";
  for (const std::string &remark : plan.remarks)
    stream << "  " << toPrintable(remark) << '\n';
  for (auto [i, layer] : llvm::enumerate(plan.layers)) {
    stream << "layer " << i << ' ' << toPrintable(plan.model.layers[i].name)
           << "\n  "
           << describe(predicted.simulation.layers[i],
                       predicted.simulation.steps)
           << '\n';
    for (const std::string &remark : layer.remarks)
      stream << "  " << toPrintable(remark) << '\n';
  }
  stream << "predicted: " << describe(predicted) << '\n';
}

/// The ranks that hold an expert, each once.
static std::vector<int> getRanks(const Turns &turns) {
  std::vector<int> ranks(turns.begin(), turns.end());
  llvm::sort(ranks);
  ranks.erase(llvm::unique(ranks), ranks.end());
  return ranks;
}

void printPlanDiff(const PredictedPlan &before, const PredictedPlan &after,
                   llvm::raw_ostream &stream) {
  double moved = 0;
  for (size_t i = 0; i < after.plan.layers.size(); ++i) {
    const LayerPlan &old = before.plan.layers[i], &now = after.plan.layers[i];
    std::string text;
    for (size_t expert = 0; expert < now.placement.size(); ++expert) {
      std::vector<int> from = getRanks(old.placement[expert]);
      std::vector<int> to = getRanks(now.placement[expert]);
      std::vector<int> gone, added;
      std::set_difference(from.begin(), from.end(), to.begin(), to.end(),
                          std::back_inserter(gone));
      std::set_difference(to.begin(), to.end(), from.begin(), from.end(),
                          std::back_inserter(added));
      moved += added.size() * after.plan.model.layers[i].getExpertBytes();
      auto join = [](llvm::ArrayRef<int> ranks) {
        std::string list;
        for (int rank : ranks)
          list += (list.empty() ? "" : " ") + std::to_string(rank);
        return list;
      };
      if (!gone.empty() || !added.empty())
        text += llvm::formatv("  expert {0}: ranks {1} -> {2}\n", expert,
                              join(from), join(to));
      else if (old.placement[expert] != now.placement[expert])
        text += llvm::formatv("  expert {0}: other shares of ranks {1}\n",
                              expert, join(to));
    }
    if (text.empty())
      continue;
    stream << "layer " << i << ' '
           << toPrintable(after.plan.model.layers[i].name) << '\n'
           << text << "  before: "
           << describe(before.simulation.layers[i], before.simulation.steps)
           << "\n  after:  "
           << describe(after.simulation.layers[i], after.simulation.steps)
           << '\n';
  }
  stream << "before: " << describe(before) << "\nafter:  " << describe(after)
         << "\nweights to bring to other ranks: " << formatBytes(moved) << '\n';
}

static json::Object toJSON(const LayerSimulation &layer,
                           llvm::ArrayRef<double> loads) {
  return json::Object{{"seconds", layer.seconds},
                      {"balanced_seconds", layer.balancedSeconds},
                      {"imbalance", getImbalance(layer.assignments)},
                      {"assignments", json::Array(layer.assignments)},
                      {"compute_seconds", json::Array(layer.compute)},
                      {"exchange_seconds", json::Array(layer.exchange)},
                      {"bytes", layer.bytes},
                      {"expert_loads", json::Array(loads)}};
}

json::Object toJSON(const PredictedPlan &predicted, const RoutingTrace &trace) {
  const Plan &plan = predicted.plan;
  const Simulation &simulation = predicted.simulation;
  json::Array layers, sent, received, links;
  for (auto [i, layer] : llvm::enumerate(simulation.layers))
    layers.push_back(::toJSON(
        layer, trace.layers[i].getLoads(plan.model.layers[i].experts)));
  int ranks = plan.machine.getNumRanks();
  for (int from = 0; from < ranks; ++from) {
    sent.push_back(simulation.links.getSent(from));
    received.push_back(simulation.links.getReceived(from));
    json::Array row;
    for (int to = 0; to < ranks && ranks <= kMaxLinkTable; ++to)
      row.push_back(simulation.links.get(from, to));
    if (ranks <= kMaxLinkTable)
      links.push_back(std::move(row));
  }
  json::Object object = mlir::moe::toJSON(plan);
  object["predicted"] = json::Object{
      {"tokens", simulation.tokens},
      {"steps", simulation.steps},
      {"step_seconds", simulation.stepSeconds},
      {"imbalance", simulation.imbalance},
      {"bytes", simulation.links.getTotal()},
      {"bytes_between_nodes", simulation.links.getBetweenNodes(plan.machine)},
      {"per_expert_bytes", simulation.perExpertBytes},
      {"per_expert_bytes_between_nodes", simulation.perExpertBytesBetweenNodes},
      {"sent_bytes", std::move(sent)},
      {"received_bytes", std::move(received)},
      {"link_bytes", std::move(links)},
      {"layers", std::move(layers)}};
  return object;
}

std::string makePlanPage(const json::Object &plan) {
  std::string data =
      llvm::formatv("{0}", json::Value(json::Object(plan))).str();
  // Names from a model must not end the script element.
  std::string escaped;
  for (char c : data)
    escaped += c == '<' ? "\\u003c" : std::string(1, c);
  std::string page(kPlanPage);
  constexpr llvm::StringLiteral place = "{/* plan */}";
  page.replace(page.find(place.data()), place.size(), escaped);
  return page;
}
