//===- PlannerTest.cpp - tests of the placement of experts ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/ExpertCostModel.h"
#include "passes/plan/placement/Greedy.h"
#include "passes/plan/placement/LocalSearch.h"
#include "passes/plan/placement/Simulator.h"
#include "test/passes/plan/placement/Examples.h"

#include "llvm/ADT/STLExtras.h"

#include <gtest/gtest.h>

using namespace mlir::moe;

static std::string getMessage(llvm::Error error) {
  return llvm::toString(std::move(error));
}

TEST(PlannerTest, ReplicatesTheHeaviestReplica) {
  // 6 alone is split into 3 + 3, then 2 + 2 + 2 beside 3.
  std::vector<double> loads = {6, 3, 1};
  EXPECT_EQ(replicateGreedily(loads, 4, 4), std::vector<int>({2, 1, 1}));
  EXPECT_EQ(replicateGreedily(loads, 5, 4), std::vector<int>({3, 1, 1}));
  // No more replicas than ranks.
  EXPECT_EQ(replicateGreedily(loads, 5, 2), std::vector<int>({2, 2, 1}));
}

TEST(PlannerTest, PacksOnTheLeastBusyRankWithRoom) {
  std::vector<double> loads = {5, 4, 3, 2};
  std::vector<Replica> replicas =
      packGreedily(loads, {1, 1, 1, 1}, makeMachine(2), {2, 2});
  // 5 | 4, then 3 beside 4, and 2 where there is room.
  LayerPlacement placement = makePlacement(replicas, 4);
  EXPECT_EQ(placement, (LayerPlacement{{0}, {1}, {1}, {0}}));
}

TEST(PlannerTest, PacksByTheSpeedOfRanks) {
  Machine machine = makeMachine(2);
  machine.ranks[1].flops *= 3;
  std::vector<double> loads = {1, 1, 1, 1};
  LayerPlacement placement =
      makePlacement(packGreedily(loads, {1, 1, 1, 1}, machine, {4, 4}), 4);
  EXPECT_EQ(getRankLoads(placement, loads, 2), std::vector<double>({1, 3}));
}

TEST(PlannerTest, DealsGroupsOutToNodes) {
  ExpertLayer layer = makeLayer(8, 2);
  layer.groups = 4;
  Machine machine = makeMachine(4, 2);
  // Groups 0 and 3 are the heavy ones, so each node has one of them.
  std::vector<double> loads = {5, 5, 1, 1, 1, 1, 5, 5};
  std::vector<Replica> replicas =
      placeGreedily(layer, loads, machine, {8, {2, 2, 2, 2}});
  LayerPlacement placement = makePlacement(replicas, 8);
  for (int group = 0; group < 4; ++group)
    EXPECT_EQ(machine.getNode(placement[2 * group][0]),
              machine.getNode(placement[2 * group + 1][0]));
  EXPECT_NE(machine.getNode(placement[0][0]), machine.getNode(placement[6][0]));
}

TEST(PlannerTest, PlansKeepTheirPromises) {
  ExpertModel model = makeModel(3, 32, 4);
  for (int ranks : {2, 4, 8, 16})
    for (int64_t extra : {0, 5, 16})
      for (PlannerKind planner : {PlannerKind::Search, PlannerKind::Greedy,
                                  PlannerKind::RoundRobin}) {
        PlanOptions options{planner, extra, 64, 0};
        Machine machine = makeMachine(ranks, ranks / 2);
        RoutingTrace trace = llvm::cantFail(drawTrace(model, "zipf:1", 512));
        Plan plan = llvm::cantFail(makePlan(model, machine, trace, options));
        for (const LayerPlan &layer : plan.layers) {
          std::vector<Replica> replicas = getReplicas(layer.placement);
          EXPECT_EQ(int64_t(replicas.size()), 32 + extra);
          std::vector<int> held(ranks);
          for (const Replica &replica : replicas)
            ++held[replica.rank];
          EXPECT_LE(*llvm::max_element(held), (32 + extra + ranks - 1) / ranks);
          EXPECT_EQ(layer.exchange.back().maxTokens,
                    ExchangeChoice::kUnbounded);
        }
      }
}

TEST(PlannerTest, SearchIsNoWorseThanGreedy) {
  ExpertModel model = makeModel(4, 64, 4);
  double gain = 0;
  int cases = 0;
  for (llvm::StringRef distribution : {"zipf:0.6", "zipf:1.2", "skewed"})
    for (int64_t extra : {0, 8, 16}) {
      RoutingTrace trace = llvm::cantFail(drawTrace(model, distribution, 2048));
      Machine machine = makeMachine(8);
      PlanOptions options{PlannerKind::Greedy, extra, 2048, 0};
      Plan greedy = llvm::cantFail(makePlan(model, machine, trace, options));
      options.planner = PlannerKind::Search;
      Plan search = llvm::cantFail(makePlan(model, machine, trace, options));
      for (size_t i = 0; i < model.layers.size(); ++i) {
        std::vector<double> loads = trace.layers[i].getLoads(64);
        auto getResult = [&](const Plan &plan) {
          return getImbalance(getRankLoads(plan.layers[i].placement, loads, 8));
        };
        EXPECT_LE(getResult(search), getResult(greedy) + 1e-9);
        gain += 1 - getResult(search) / getResult(greedy);
        ++cases;
      }
    }
  EXPECT_GE(gain / cases, 0.15);
}

TEST(PlannerTest, SearchBringsTogetherWhatIsChosenTogether) {
  // Experts 2i and 2i + 1 are always chosen together, and all loads are equal:
  // greedy separates them.
  ExpertModel model = makeModel(1, 8, 2);
  RoutingTrace trace{"pairs", {{2, {}}}};
  for (int token = 0; token < 64; ++token)
    for (int slot = 0; slot < 2; ++slot)
      trace.layers[0].ids.push_back(2 * (token % 4) + slot);
  PlanOptions options{PlannerKind::Search, 0, 64, 0};
  Plan plan = llvm::cantFail(makePlan(model, makeMachine(4), trace, options));
  for (int pair = 0; pair < 4; ++pair)
    EXPECT_EQ(plan.layers[0].placement[2 * pair],
              plan.layers[0].placement[2 * pair + 1]);
}

TEST(PlannerTest, SharesEvenOutUnequalRanks) {
  // One expert of load 1 on both ranks, one of load 0.5 on the first rank only.
  ExpertLayer layer = makeLayer(2, 2);
  Machine machine = makeMachine(2);
  machine.ranks[0].memoryBandwidth = machine.ranks[1].memoryBandwidth = 1e15;
  ExpertCostModel model(layer, machine, TokenOwners::OneRank, 1024);
  std::vector<double> loads = {1, 0.5};
  LayerTrace trace{2, {0, 1, 0, -1}};
  std::vector<Replica> replicas = {{0, 0}, {0, 1}, {1, 0}};
  LayerPlacement placement =
      balanceShares(model, Exchange::Gather, loads, trace, replicas);
  EXPECT_EQ(getRankLoads(placement, loads, 2),
            std::vector<double>({0.75, 0.75}));
}

// Tests that no placement of the search loads the busiest rank more with the
// tokens of the trace than the greedy one, however few tokens there are.
TEST(PlannerTest, IsNeverLessEvenThanGreedy) {
  ExpertModel model = makeModel(24, 64, 4);
  for (const char *loads : {"zipf:0.6", "zipf:1.2"})
    for (int ranks : {6, 16, 48}) {
      RoutingTrace trace = llvm::cantFail(drawTrace(model, loads, 256));
      auto getBusiest = [&](PlannerKind kind) {
        Plan plan = llvm::cantFail(
            makePlan(model, makeMachine(ranks), trace, {kind, 8, 100, 0}));
        std::vector<double> busiest;
        for (const LayerSimulation &layer : simulate(plan, trace).layers)
          busiest.push_back(*llvm::max_element(layer.assignments));
        return busiest;
      };
      std::vector<double> greedy = getBusiest(PlannerKind::Greedy);
      std::vector<double> search = getBusiest(PlannerKind::Search);
      for (size_t i = 0; i < greedy.size(); ++i)
        EXPECT_LE(search[i], greedy[i]) << loads << ", layer " << i;
    }
}

TEST(PlannerTest, MemoryLimitsReplicas) {
  ExpertModel model = makeModel(2, 8, 2);
  Machine machine = makeMachine(4);
  int64_t expert = model.layers[0].getExpertBytes();
  // Room for the dense weights and 2 experts of each of the 2 layers.
  for (Rank &rank : machine.ranks)
    rank.memoryBytes = model.denseBytes + 5 * expert;
  RoutingTrace trace = llvm::cantFail(drawTrace(model, "uniform", 64));
  Plan plan = llvm::cantFail(
      makePlan(model, machine, trace, {PlannerKind::Search, 4, 64, 0}));
  EXPECT_EQ(getReplicas(plan.layers[0].placement).size(), 8u);
  EXPECT_TRUE(llvm::any_of(plan.layers[0].remarks, [](llvm::StringRef remark) {
    return remark.contains("0 extra replicas instead of 4");
  }));

  // One rank with more memory takes the rest.
  machine.ranks[0].memoryBytes += 4 * expert;
  plan = llvm::cantFail(
      makePlan(model, machine, trace, {PlannerKind::Search, 4, 64, 0}));
  EXPECT_EQ(getReplicas(plan.layers[0].placement).size(), 10u);
}

TEST(PlannerTest, DenseWeightsAreShardedWhereTheyDoNotFit) {
  ExpertModel model = makeModel(1, 8, 2);
  model.denseBytes = 100e9;
  RoutingTrace trace = llvm::cantFail(drawTrace(model, "uniform", 64));
  PlanOptions options{PlannerKind::Greedy, 0, 64, 0};
  Plan plan = llvm::cantFail(makePlan(model, makeMachine(4), trace, options));
  EXPECT_EQ(plan.dense, DenseKind::Sharded);

  model.denseBytes = 1000e9;
  llvm::Expected<Plan> none = makePlan(model, makeMachine(4), trace, options);
  ASSERT_FALSE(none);
  EXPECT_EQ(getMessage(none.takeError()),
            "expected memory for 1000.0 GB of weights, got 4 ranks with 256.0 "
            "GB together; add ranks or 'memory_gb' in the machine file");
}

TEST(PlannerTest, FewTokensAreGathered) {
  ExpertModel model = makeModel(1, 32, 4);
  Machine machine = makeMachine(8);
  RoutingTrace trace = llvm::cantFail(drawTrace(model, "uniform", 1024));
  PlanOptions options{PlannerKind::Greedy, 0, 1024, 0};
  options.dense = DenseKind::Repeated;
  Plan plan = llvm::cantFail(makePlan(model, machine, trace, options));
  llvm::ArrayRef<ExchangeChoice> exchange = plan.layers[0].exchange;
  EXPECT_EQ(getExchange(exchange, 1), Exchange::Gather);
  EXPECT_NE(getExchange(exchange, 1 << 20), Exchange::Gather);
}
