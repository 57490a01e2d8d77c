//===- Planner.cpp - spreads a model over the ranks of a machine ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/ExpertCostModel.h"
#include "passes/plan/placement/LocalSearch.h"
#include "passes/plan/placement/MemoryBudget.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/ErrorHandling.h"
#include "llvm/Support/FormatVariadic.h"

using namespace mlir::moe;

/// Tokens that the search looks at, and those that its result is judged by.
static constexpr int64_t kSearchTokens = 1024, kJudgedTokens = 4096;
/// Steps of more tokens are exchanged as this one.
static constexpr int64_t kMaxStep = 1 << 20;

llvm::StringRef mlir::moe::getPlannerName(PlannerKind kind) {
  switch (kind) {
  case PlannerKind::Search:
    return "search";
  case PlannerKind::Greedy:
    return "greedy";
  case PlannerKind::RoundRobin:
    return "round-robin";
  case PlannerKind::Random:
    return "random";
  }
  llvm_unreachable("unknown planner");
}

std::optional<PlannerKind> mlir::moe::parsePlanner(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<PlannerKind>>(name)
      .Case("search", PlannerKind::Search)
      .Case("greedy", PlannerKind::Greedy)
      .Case("round-robin", PlannerKind::RoundRobin)
      .Case("random", PlannerKind::Random)
      .Default(std::nullopt);
}

llvm::StringRef mlir::moe::getDenseName(DenseKind kind) {
  switch (kind) {
  case DenseKind::Replicated:
    return "replicated";
  case DenseKind::Repeated:
    return "repeated";
  case DenseKind::Sharded:
    return "sharded";
  }
  llvm_unreachable("unknown way to hold dense weights");
}

std::optional<DenseKind> mlir::moe::parseDense(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<DenseKind>>(name)
      .Case("replicated", DenseKind::Replicated)
      .Case("repeated", DenseKind::Repeated)
      .Case("sharded", DenseKind::Sharded)
      .Default(std::nullopt);
}

namespace {

/// Plans one layer; layers do not depend on each other.
class LayerPlanner {
public:
  LayerPlanner(const ExpertLayer &layer, const Machine &machine,
               const LayerTrace &trace, const PlanOptions &options,
               TokenOwners owners, const ReplicaBudget &budget)
      : layer(layer), machine(machine), allTokens(trace),
        trace(trace.sample(kJudgedTokens)), options(options), owners(owners),
        budget(budget), loads(trace.getLoads(layer.experts)),
        model(layer, machine, owners, options.tokens) {}

  LayerPlan plan(uint64_t seed) {
    LayerPlan result;
    switch (options.planner) {
    case PlannerKind::RoundRobin:
      result.placement = toPlacement(placeRoundRobin(layer, budget));
      break;
    case PlannerKind::Random:
      result.placement = toPlacement(placeRandomly(layer, budget, seed));
      break;
    case PlannerKind::Greedy:
      result.placement =
          toPlacement(placeGreedily(layer, loads, machine, budget));
      break;
    case PlannerKind::Search:
      result.placement = search(result.remarks);
      break;
    }
    Visits visits = countVisits(result.placement, trace, machine);
    result.exchange = chooseExchanges(layer, machine, owners, result.placement,
                                      loads, visits, kMaxStep);
    return result;
  }

private:
  LayerPlacement toPlacement(llvm::ArrayRef<Replica> replicas) const {
    return makePlacement(replicas, layer.experts);
  }

  /// Whether the tokens of the trace load the busiest rank more.
  bool isLessEven(const LayerPlacement &placement,
                  const LayerPlacement &other) const {
    auto getBusiest = [&](const LayerPlacement &candidate) {
      return *llvm::max_element(countAssignments(
          candidate, allTokens, machine.getNumRanks(), options.tokens));
    };
    return getBusiest(placement) > getBusiest(other);
  }

  double getSlowest(const LayerPlacement &placement, Exchange exchange) const {
    return model
        .getTime(placement, loads, countVisits(placement, trace, machine),
                 exchange)
        .getSlowest();
  }

  LayerPlacement search(std::vector<std::string> &remarks) const {
    std::vector<Replica> greedy = placeGreedily(layer, loads, machine, budget);
    LayerPlacement start = toPlacement(greedy);
    Exchange exchange =
        model.chooseExchange(start, loads, countVisits(start, trace, machine));
    LayerTrace sample = trace.sample(kSearchTokens);
    SearchProblem problem{model, exchange, loads, sample, budget.capacity};
    std::vector<Replica> found = searchPlacement(problem, std::move(greedy));
    LayerPlacement result = balanceShares(model, exchange, loads, trace, found);
    // Tokens come whole: what is better on average may not be for these.
    if (isLessEven(result, start))
      result = toPlacement(found);
    double before = getSlowest(start, exchange);
    double after = getSlowest(result, exchange);
    auto describe = [&](const LayerPlacement &placement, double seconds) {
      std::vector<double> ranks =
          getRankLoads(placement, loads, machine.getNumRanks());
      return llvm::formatv("{0:f1} us, imbalance {1:f3}", seconds * 1e6,
                           getImbalance(ranks))
          .str();
    };
    // The sample may have misled the search.
    if (after > before || isLessEven(result, start)) {
      remarks.push_back("search found nothing better than greedy: " +
                        describe(start, before));
      return start;
    }
    remarks.push_back("greedy: " + describe(start, before) +
                      "; search: " + describe(result, after));
    return result;
  }

  const ExpertLayer &layer;
  const Machine &machine;
  const LayerTrace &allTokens;
  LayerTrace trace;
  const PlanOptions &options;
  TokenOwners owners;
  const ReplicaBudget &budget;
  std::vector<double> loads;
  ExpertCostModel model;
};

} // namespace

/// A line for each choice in `plan` that a reader may wonder about.
static void addRemarks(const ExpertLayer &layer, const ReplicaBudget &budget,
                       LayerPlan &plan) {
  std::string text;
  int replicated = 0;
  for (auto [expert, turns] : llvm::enumerate(plan.placement)) {
    Turns ranks = turns;
    llvm::sort(ranks);
    size_t count = llvm::unique(ranks) - ranks.begin();
    if (count > 1 && ++replicated <= 6)
      text += llvm::formatv("{0}{1} ({2})", replicated > 1 ? ", " : "", expert,
                            count);
  }
  if (replicated > 6)
    text += llvm::formatv(" and {0} more", replicated - 6);
  if (replicated)
    plan.remarks.push_back("experts with replicas: " + text);
  text.clear();
  for (const ExchangeChoice &choice : plan.exchange) {
    text += text.empty() ? "" : ", ";
    text += getExchangeName(choice.exchange);
    if (choice.maxTokens != ExchangeChoice::kUnbounded)
      text += llvm::formatv(" up to {0} tokens", choice.maxTokens);
  }
  plan.remarks.push_back("exchange: " + text);
}

/// How the dense weights are held: the fastest way that leaves room for all
/// experts.
static llvm::Expected<DenseKind> chooseDense(Plan &plan) {
  const ExpertModel &model = plan.model;
  const Machine &machine = plan.machine;
  auto fits = [&](DenseKind dense) {
    for (const Rank &rank : machine.ranks)
      if (model.denseBytes /
              (dense == DenseKind::Sharded ? machine.getNumRanks() : 1) >
          rank.memoryBytes)
        return false;
    return llvm::all_of(model.layers, [&](const ExpertLayer &layer) {
      return getReplicaBudget(model, machine, dense, layer.experts, 0)
                 .replicas >= layer.experts;
    });
  };
  std::optional<DenseKind> best;
  std::string text;
  llvm::SmallVector<DenseKind, 2> kinds = {DenseKind::Replicated,
                                           DenseKind::Sharded};
  if (plan.options.dense)
    kinds = {*plan.options.dense};
  for (DenseKind dense : kinds) {
    double seconds =
        getDenseSeconds(model, machine, dense, plan.options.tokens);
    bool fitting = fits(dense);
    text += llvm::formatv("{0}{1}: {2:f1} us{3}", text.empty() ? "" : ", ",
                          getDenseName(dense), seconds * 1e6,
                          fitting ? "" : ", does not fit");
    if (fitting && (!best || seconds < plan.denseSeconds)) {
      best = dense;
      plan.denseSeconds = seconds;
    }
  }
  if (!best) {
    double bytes = model.denseBytes, memory = 0;
    for (const ExpertLayer &layer : model.layers)
      bytes += double(layer.experts) * layer.getExpertBytes();
    for (const Rank &rank : machine.ranks)
      memory += rank.memoryBytes;
    return llvm::createStringError(llvm::formatv(
        "expected memory for {0:f1} GB of weights, got {1} ranks with {2:f1} "
        "GB together; add ranks or 'memory_gb' in the machine file",
        bytes * 1e-9, machine.getNumRanks(), memory * 1e-9));
  }
  plan.remarks.push_back("dense weights " + getDenseName(*best).str() + " (" +
                         text + ")");
  return *best;
}

llvm::Expected<Plan> mlir::moe::makePlan(const ExpertModel &model,
                                         const Machine &machine,
                                         const RoutingTrace &trace,
                                         const PlanOptions &options) {
  Plan plan;
  plan.model = model;
  plan.machine = machine;
  plan.trace = trace.source;
  plan.options = options;
  llvm::Expected<DenseKind> dense = chooseDense(plan);
  if (!dense)
    return dense.takeError();
  plan.dense = *dense;
  for (auto [i, layer] : llvm::enumerate(model.layers)) {
    ReplicaBudget budget = getReplicaBudget(
        model, machine, plan.dense, layer.experts, options.extraReplicas);
    int64_t extra = budget.replicas - layer.experts;
    LayerPlan layerPlan = LayerPlanner(layer, machine, trace.layers[i], options,
                                       getTokenOwners(plan.dense), budget)
                              .plan(options.seed + i);
    if (extra < options.extraReplicas)
      layerPlan.remarks.push_back(
          llvm::formatv("{0} extra replicas instead of {1}: no more fit into "
                        "memory or help",
                        extra, options.extraReplicas));
    addRemarks(layer, budget, layerPlan);
    plan.layers.push_back(std::move(layerPlan));
  }
  return plan;
}
