//===- SimulatorTest.cpp - tests of the simulation of plans -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/ExpertCostModel.h"
#include "test/passes/plan/placement/Examples.h"

#include <gtest/gtest.h>

using namespace mlir::moe;

/// A plan of one layer whose experts have these ranks.
static Plan makePlanOf(LayerPlacement placement, int slots, Machine machine,
                       Exchange exchange, int64_t tokens) {
  Plan plan;
  plan.model = makeModel(1, placement.size(), slots);
  plan.machine = std::move(machine);
  plan.options.tokens = tokens;
  LayerPlan layer;
  layer.placement = std::move(placement);
  layer.exchange = {{ExchangeChoice::kUnbounded, exchange}};
  plan.layers.push_back(std::move(layer));
  return plan;
}

TEST(SimulatorTest, SendsATokenOnceToARank) {
  // Token 0 is on rank 0, token 1 on rank 1; experts 0 and 1 on rank 1.
  Plan plan =
      makePlanOf({{1}, {1}, {0}}, 2, makeMachine(2), Exchange::Direct, 2);
  RoutingTrace trace{"", {{2, {0, 1, 2, 0}}}};
  Simulation result = simulate(plan, trace);
  const ExpertLayer &layer = plan.model.layers[0];
  int64_t there = layer.getDispatchBytes(TokenOwners::OneRank),
          back = layer.getCombineBytes();
  // Token 0 goes to rank 1 once, token 1 to rank 0.
  EXPECT_EQ(result.links.get(0, 1), there + back);
  EXPECT_EQ(result.links.get(1, 0), there + back);
  EXPECT_EQ(result.perExpertBytes, 3 * (there + back));
  EXPECT_EQ(result.layers[0].assignments, std::vector<double>({1, 3}));
}

TEST(SimulatorTest, DealsAssignmentsOutInTurn) {
  // All four tokens choose expert 0: rank 0 begins with the first turn, rank 1
  // with the second one.
  Plan plan =
      makePlanOf({{0, 1, 1}, {0}}, 1, makeMachine(2), Exchange::Direct, 8);
  RoutingTrace trace{"", {{1, std::vector<int32_t>(8, 0)}}};
  Simulation result = simulate(plan, trace);
  // Rank 0: 0 1 1 0, rank 1: 1 1 0 1.
  EXPECT_EQ(result.layers[0].assignments, std::vector<double>({3, 5}));
}

TEST(SimulatorTest, GathersEveryToken) {
  Plan plan = makePlanOf({{0}, {1}}, 1, makeMachine(2), Exchange::Gather, 4);
  RoutingTrace trace{"", {{1, {0, 0, 0, 0}}}};
  Simulation result = simulate(plan, trace);
  const ExpertLayer &layer = plan.model.layers[0];
  EXPECT_EQ(result.links.getTotal(),
            4 * (layer.getDispatchBytes(TokenOwners::OneRank) +
                 layer.getCombineBytes()));
}

// Tests that ranks that have all tokens send numbers of rows instead of rows,
// and the results to all others.
TEST(SimulatorTest, SharesResultsOfSharedTokens) {
  Plan plan = makePlanOf({{1}, {1}}, 2, makeMachine(3), Exchange::Direct, 3);
  plan.dense = DenseKind::Repeated;
  RoutingTrace trace{"", {{2, {0, 1, -1, -1, -1, -1}}}};
  Simulation result = simulate(plan, trace);
  int64_t row = plan.model.layers[0].hidden * sizeof(float);
  EXPECT_EQ(result.links.get(0, 1), 8 + 2 * 8 + row);
  EXPECT_EQ(result.links.get(1, 0), row + row);
  EXPECT_EQ(result.links.get(2, 1), row);
  // Two rows there and back, were each assignment sent alone, and the results.
  EXPECT_EQ(result.perExpertBytes, 2 * (8 + 2 * 8 + row) + 3 * 2 * row);
}

TEST(SimulatorTest, TwoLevelsSendATokenOnceToANode) {
  // Two nodes of two ranks; token 0, on rank 0, visits both ranks of node 1.
  Plan plan =
      makePlanOf({{2}, {3}}, 2, makeMachine(4, 2), Exchange::TwoLevel, 4);
  RoutingTrace trace{"", {{2, {0, 1, -1, -1, -1, -1, -1, -1}}}};
  Simulation result = simulate(plan, trace);
  const ExpertLayer &layer = plan.model.layers[0];
  EXPECT_EQ(result.links.get(0, 2),
            layer.getDispatchBytes(TokenOwners::OneRank));
  EXPECT_EQ(result.links.get(0, 3), 0);
  EXPECT_EQ(result.links.get(2, 3),
            layer.getDispatchBytes(TokenOwners::OneRank));
  EXPECT_EQ(result.links.getBetweenNodes(plan.machine),
            layer.getDispatchBytes(TokenOwners::OneRank) +
                layer.getCombineBytes());
}

TEST(SimulatorTest, AgreesWithTheCostModel) {
  ExpertModel model = makeModel(1, 32, 4);
  RoutingTrace trace = llvm::cantFail(drawTrace(model, "zipf:0.6", 4096));
  for (auto [ranks, nodes] : {std::make_pair(4, 1), std::make_pair(8, 2)}) {
    Machine machine = makeMachine(ranks, nodes);
    Plan plan = llvm::cantFail(
        makePlan(model, machine, trace, {PlannerKind::Search, 8, 4096, 0}));
    Simulation result = simulate(plan, trace);
    const LayerPlan &layer = plan.layers[0];
    double predicted =
        ExpertCostModel(model.layers[0], machine, TokenOwners::OneRank, 4096)
            .getTime(layer.placement, trace.layers[0].getLoads(32),
                     countVisits(layer.placement, trace.layers[0], machine),
                     getExchange(layer.exchange, 4096))
            .getSlowest();
    // The model takes the tokens of all ranks for equal, the simulation does
    // not: with 512 tokens a rank, their visits differ by a few times
    // 1 / sqrt(512).
    EXPECT_NEAR(result.layers[0].seconds / predicted, 1, 0.15);
  }
}

TEST(SimulatorTest, GoesTo2048Ranks) {
  ExpertModel model = makeModel(1, 2048, 2);
  RoutingTrace trace = llvm::cantFail(drawTrace(model, "zipf:0.6", 2048));
  Machine machine = makeMachine(2048, 256);
  Plan plan = llvm::cantFail(
      makePlan(model, machine, trace, {PlannerKind::Search, 0, 2048, 0}));
  Simulation result = simulate(plan, trace);
  double served = 0;
  for (double count : result.layers[0].assignments)
    served += count;
  EXPECT_EQ(served, 2 * 2048);
  EXPECT_GT(result.stepSeconds, 0);
  int64_t sent = 0, received = 0;
  for (int rank = 0; rank < 2048; ++rank) {
    sent += result.links.getSent(rank);
    received += result.links.getReceived(rank);
  }
  EXPECT_EQ(sent, result.layers[0].bytes);
  EXPECT_EQ(received, result.layers[0].bytes);
}
