//===- placement.cpp - compares the planners of expert placement ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Every planner gets the same slots for replicas on the same ranks. A plan is
// made from one half of a trace and judged on both: on what it has seen, as
// published comparisons do, and on what came after.
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/Simulator.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/raw_ostream.h"

#include <ctime>

using namespace mlir::moe;

static constexpr int64_t kTokens = 4096;

/// 61 layers of 256 experts, 8 for each token, in groups of which a token keeps
/// to half.
static ExpertModel makeModel(int64_t groups) {
  ExpertModel model;
  model.name = "61 x 256";
  ExpertLayer layer;
  layer.experts = 256;
  layer.slots = 8;
  layer.hidden = 7168;
  layer.inner = 2048;
  layer.weightBits = 8;
  layer.activationBits = 16;
  layer.groups = groups;
  model.layers.assign(61, layer);
  return model;
}

/// Nodes of 8 ranks.
static Machine makeMachine(int ranks) {
  Machine machine;
  machine.withinNode = {2e-6, 200e9};
  machine.betweenNodes = {5e-6, 50e9};
  machine.ranks.assign(1, {10e12, 400e12, 3e12});
  return llvm::cantFail(machine.resize(ranks, std::max(1, ranks / 8)));
}

static RoutingTrace getHalf(const RoutingTrace &trace, int half) {
  RoutingTrace result{trace.source, {}};
  for (const LayerTrace &layer : trace.layers)
    result.layers.push_back(layer.slice(half * kTokens, (half + 1) * kTokens));
  return result;
}

namespace {
struct Result {
  double seconds;
  Simulation seen, unseen;
};

/// Sums for the line below the table.
struct Total {
  int cases = 0, worse = 0, compared = 0;
  double gain = 0, slowest = 0;
};
} // namespace

static Result measure(const ExpertModel &model, const Machine &machine,
                      const RoutingTrace &trace, int64_t extraReplicas,
                      PlannerKind planner) {
  PlanOptions options;
  options.planner = planner;
  options.extraReplicas = extraReplicas;
  options.tokens = kTokens;
  RoutingTrace seen = getHalf(trace, 0);
  // Processor time: one thread plans, and other programs disturb less.
  std::clock_t start = std::clock();
  Plan plan = llvm::cantFail(makePlan(model, machine, seen, options));
  double elapsed = double(std::clock() - start) / CLOCKS_PER_SEC;
  return {elapsed, simulate(plan, seen), simulate(plan, getHalf(trace, 1))};
}

int main(int argc, char **argv) {
  std::vector<int> rankCounts;
  for (int i = 1; i < argc; ++i)
    rankCounts.push_back(std::atoi(argv[i]));
  if (rankCounts.empty())
    rankCounts = {8, 16, 32, 64, 96, 144, 288, 320};
  llvm::raw_ostream &out = llvm::outs();
  out << "imbalance: (max - mean) / mean of the ranks' assignments, mean of 61 "
         "layers; seen / unseen tokens\n"
         "bytes: sent, of those if each assignment were sent alone; all / "
         "between nodes\n\n"
         "trace     ranks  replicas  planner      imbalance       step ms  "
         "bytes        plan s\n";
  Total total;
  // A name of a trace that ends in "/8" stands for eight groups of experts.
  for (llvm::StringRef name : {"zipf:0.6", "zipf:1.2", "skewed", "skewed/8"}) {
    auto [distribution, groups] = name.split('/');
    ExpertModel model = makeModel(groups.empty() ? 1 : 8);
    RoutingTrace trace =
        llvm::cantFail(drawTrace(model, distribution, 2 * kTokens));
    for (int ranks : rankCounts)
      for (int extra : {0, 32, 64}) {
        // Every rank has at least one replica.
        if (256 + extra < ranks)
          continue;
        Machine machine = makeMachine(ranks);
        double greedy = 0;
        for (PlannerKind planner :
             {PlannerKind::Random, PlannerKind::RoundRobin, PlannerKind::Greedy,
              PlannerKind::Search}) {
          Result result = measure(model, machine, trace, extra, planner);
          const Simulation &seen = result.seen;
          double bytes = double(seen.links.getTotal()) / seen.perExpertBytes;
          double far = double(seen.links.getBetweenNodes(machine)) /
                       std::max<int64_t>(seen.perExpertBytesBetweenNodes, 1);
          out << llvm::format("%-9s %5d  %7.1f%%  %-11s  %6.4f /%7.4f  %7.2f  "
                              "%5.2f /%5.2f %6.2f\n",
                              name.str().c_str(), ranks, 100.0 * extra / 256,
                              getPlannerName(planner).str().c_str(),
                              seen.imbalance, result.unseen.imbalance,
                              seen.stepSeconds * 1e3, bytes, far,
                              result.seconds);
          out.flush();
          if (planner == PlannerKind::Greedy)
            greedy = seen.imbalance;
          if (planner != PlannerKind::Search)
            continue;
          ++total.cases;
          total.worse += seen.imbalance > greedy + 1e-9;
          total.slowest = std::max(total.slowest, result.seconds);
          // One replica on each rank leaves nothing to choose.
          if (256 + extra > ranks && greedy > 0) {
            ++total.compared;
            total.gain += 1 - seen.imbalance / greedy;
          }
        }
      }
  }
  out << llvm::format("\nsearch against greedy: less balanced in %d of %d "
                      "cases, imbalance lower by %.1f %% on average, planned "
                      "in at most %.2f s\n",
                      total.worse, total.cases,
                      100 * total.gain / total.compared, total.slowest);
  return 0;
}
