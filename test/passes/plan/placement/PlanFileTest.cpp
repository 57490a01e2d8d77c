//===- PlanFileTest.cpp - tests of the files that planning reads ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/passes/plan/placement/Examples.h"

#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include <gtest/gtest.h>

using namespace mlir::moe;

template <typename T> static std::string getError(llvm::Expected<T> value) {
  return value ? "no error" : llvm::toString(value.takeError());
}

static std::string print(const Plan &plan) {
  return llvm::formatv("{0}", llvm::json::Value(toJSON(plan))).str();
}

static Plan makeExample() {
  ExpertModel model = makeModel(2, 8, 2);
  RoutingTrace trace = llvm::cantFail(drawTrace(model, "zipf:1", 256));
  return llvm::cantFail(makePlan(model, makeMachine(4, 2), trace,
                                 {PlannerKind::Search, 2, 256, 0}));
}

TEST(PlanFileTest, ReadsWhatItWrites) {
  Plan plan = makeExample();
  std::string text = print(plan);
  EXPECT_EQ(print(llvm::cantFail(parsePlan(text))), text);
}

TEST(PlanFileTest, ReadsAModelWithoutAPlan) {
  Plan plan = llvm::cantFail(parsePlan(
      R"({"format": "moec-plan 1", "model": {"layers": [
         {"experts": 8, "slots": 2, "hidden": 64, "inner": 32}]}})"));
  EXPECT_TRUE(plan.layers.empty());
  EXPECT_EQ(plan.model.layers[0].experts, 8);
}

TEST(PlanFileTest, SaysWhatIsWrong) {
  auto getPlanError = [](llvm::StringRef from, llvm::StringRef to) {
    std::string text = print(makeExample());
    size_t place = text.find(from.str());
    EXPECT_NE(place, std::string::npos) << from.str();
    text.replace(place, from.size(), to.str());
    return getError(parsePlan(text));
  };
  EXPECT_EQ(getPlanError("moec-plan 1", "moec-plan 7"),
            "expected \"moec-plan 1\" at plan.format");
  EXPECT_EQ(getPlanError("\"experts\":8", "\"experts\":9"),
            "expected ranks for 9 experts in layer 0 of the plan, got 8");
  EXPECT_EQ(getPlanError("\"experts\":8", "\"experts\":0"),
            "expected a positive number within reason at "
            "plan.model.layers[0].experts");
  EXPECT_EQ(getPlanError("\"experts\":[[", "\"experts\":[[4,"),
            "expected ranks from 0 to 3 in layer 0 of the plan, got 4");
  EXPECT_EQ(getPlanError("\"experts\":[[", "\"experts\":[[-1,"),
            "expected ranks from 0 to 3 in layer 0 of the plan, got -1");
  EXPECT_EQ(getPlanError("\"two_level\"", "\"sends\""),
            "expected gather, direct or two_level at "
            "plan.layers[0].exchange[0].algorithm");
  EXPECT_EQ(getPlanError("\"tokens\":256", "\"tokens\":0"),
            "expected a positive number 'tokens' in the plan");
}

TEST(PlanFileTest, ReadsMachines) {
  Machine machine = llvm::cantFail(Machine::parse(
      R"({"ranks": 4, "nodes": 2, "rank": {"gflops": 100},
          "links": {"between_nodes": {"latency_us": 20, "gb_per_s": 1}}})"));
  EXPECT_EQ(machine.getNumRanks(), 4);
  EXPECT_EQ(machine.ranks[3].flops, 100e9);
  EXPECT_EQ(machine.getLink(1, 2).bandwidth, 1e9);
  EXPECT_EQ(machine.getLink(2, 3).bandwidth, Machine().withinNode.bandwidth);

  machine = llvm::cantFail(Machine::parse(
      R"({"ranks": 2, "links": {"latency_us": [[0, 3], [4, 0]],
                                "gb_per_s": [[0, 5], [6, 0]]}})"));
  EXPECT_EQ(machine.getLink(1, 0).bandwidth, 6e9);
  EXPECT_EQ(getError(machine.resize(4, 1)),
            "the machine file has a link for each pair of its 2 ranks, got 4 "
            "ranks; describe the links 'within_node' and 'between_nodes' "
            "instead");
}

TEST(PlanFileTest, SaysWhatIsWrongWithAMachine) {
  EXPECT_EQ(getError(Machine::parse(R"({"ranks": 0})")),
            "expected a number from 1 to 65536 at machine.ranks");
  EXPECT_EQ(getError(Machine::parse(R"({"ranks": 4, "nodes": 3})")),
            "expected a divisor of the number of ranks at machine.nodes");
  EXPECT_EQ(getError(Machine::parse(R"({"ranks": 2, "rank": [{}]})")),
            "expected one object, or one for each rank at machine.rank");
  EXPECT_EQ(getError(Machine::parse(R"({"ranks": 2, "rank": {"gflops": -1}})")),
            "expected a positive number at machine.rank.gflops");
  EXPECT_EQ(getError(Machine::parse(
                R"({"ranks": 2, "links": {"latency_us": [[0, 1]]}})")),
            "expected a row for each rank at machine.links.latency_us");
  EXPECT_EQ(getError(makeMachine(4).resize(6, 4)),
            "expected a number of nodes that divides the 6 ranks, got 4");
}

TEST(RoutingTraceTest, DrawsTheLoadsItIsAskedFor) {
  ExpertModel model = makeModel(30, 256, 8);
  RoutingTrace trace = llvm::cantFail(drawTrace(model, "skewed", 2048));
  double sum = 0, lowest = 10, highest = 0;
  for (const LayerTrace &layer : trace.layers) {
    double imbalance = getImbalance(layer.getLoads(256));
    sum += imbalance / 30;
    lowest = std::min(lowest, imbalance);
    highest = std::max(highest, imbalance);
  }
  // An expert has 64 tokens on average, give or take 8, and the heaviest of 256
  // is one that got about three times that beyond its share: 0.4 of the mean.
  EXPECT_NEAR(sum, 1.56, 0.2);
  EXPECT_NEAR(lowest, 0.5, 0.6);
  EXPECT_NEAR(highest, 2.5, 0.3);
}

TEST(RoutingTraceTest, TokensKeepToHalfOfTheGroups) {
  ExpertModel model = makeModel(1, 32, 4);
  model.layers[0].groups = 4;
  RoutingTrace trace = llvm::cantFail(drawTrace(model, "zipf:0.6", 256));
  for (int64_t t = 0; t < 256; ++t) {
    std::vector<bool> groups(4);
    for (int32_t id : trace.layers[0].getToken(t))
      groups[id / 8] = true;
    EXPECT_LE(std::count(groups.begin(), groups.end(), true), 2);
  }
}

TEST(RoutingTraceTest, MustFitTheModel) {
  ExpertModel model = makeModel(1, 4, 2);
  auto getTraceError = [&](std::vector<LayerTrace> layers) {
    return llvm::toString(RoutingTrace{"t", layers}.check(model));
  };
  EXPECT_EQ(getTraceError({}), "expected a trace of 1 layers, got 0 in 't'");
  EXPECT_EQ(getTraceError({{1, {0}}}),
            "expected 2 experts per token in layer 0 of 't', got 1");
  EXPECT_EQ(getTraceError({{2, {0, 4}}}),
            "expected experts below 4 in layer 0 of 't', got 4");
  EXPECT_EQ(getTraceError({{2, {}}}),
            "expected at least one token in layer 0 of 't'");
  EXPECT_EQ(getError(drawTrace(model, "normal", 1)),
            "expected the distribution uniform, zipf:S with S from 0 to 10, or "
            "skewed, got 'normal'");
}
