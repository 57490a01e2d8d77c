//===- ExpertExchangeTest.cpp - rows on their way to experts and back ------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/ExpertExchange.h"

#include "runtime/comm/LocalGroup.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>
#include <thread>

using namespace moert;

namespace {

constexpr int64_t kWidth = 5;
constexpr int64_t kUnbounded = std::numeric_limits<int64_t>::max();
constexpr ExchangeAlgorithm kAlgorithms[] = {ExchangeAlgorithm::Gather,
                                             ExchangeAlgorithm::Direct,
                                             ExchangeAlgorithm::TwoLevel};

/// A layer whose expert e multiplies a row by e + 1: all numbers are small
/// integers, so that sums are exact in any order.
struct Layer {
  std::vector<LayerPlacement> placements;
  RankLayout layout;
  int64_t tokens, slots;
  std::vector<int32_t> ids;
  std::vector<float> x, weights;

  Layer(std::vector<std::vector<int32_t>> experts, int64_t tokens,
        int64_t slots, ExchangeAlgorithm algorithm = ExchangeAlgorithm::Direct)
      : placements({{std::move(experts), {{kUnbounded, algorithm}}}}),
        tokens(tokens), slots(slots) {
    draw(tokens * 10 + slots);
  }

  void draw(unsigned seed) {
    std::mt19937 random(seed);
    int32_t experts = placements[0].experts.size();
    ids.clear();
    weights.clear();
    x.clear();
    for (int64_t i = 0; i < tokens * slots; ++i) {
      // Some slots have no expert.
      ids.push_back(static_cast<int32_t>(random() % (experts + 1)) - 1);
      weights.push_back(random() % 4);
    }
    for (int64_t i = 0; i < tokens * kWidth; ++i)
      x.push_back(random() % 16);
  }

  std::vector<float> compute() const {
    std::vector<float> result(tokens * kWidth);
    for (int64_t t = 0; t < tokens; ++t)
      for (int64_t k = 0; k < slots; ++k)
        for (int64_t i = 0; i < kWidth && ids[t * slots + k] >= 0; ++i)
          result[t * kWidth + i] += (ids[t * slots + k] + 1) *
                                    weights[t * slots + k] * x[t * kWidth + i];
    return result;
  }
};

/// What a rank has received, and its result.
struct RankResult {
  int64_t rows = 0, bytesSent = 0;
  bool hasForeign = false;
  std::vector<float> result;
};

RankResult runRank(const Layer &layer, std::shared_ptr<Communicator> own) {
  RankResult result;
  ExpertExchange exchange(own, layer.layout, layer.placements);
  int64_t count = -1, slots = layer.slots;
  EXPECT_TRUE(
      exchange.begin(0, layer.ids.data(), slots, layer.tokens, slots, count));
  std::vector<float> rows(count * kWidth), weights(count * slots),
      sums(count * kWidth);
  std::vector<int32_t> ids(count * slots);
  EXPECT_TRUE(exchange.dispatch(
      layer.x.data(), kWidth * sizeof(float), kWidth * sizeof(float),
      layer.weights.data(), slots, rows.data(), ids.data(), weights.data()));
  for (int64_t n = 0; n < count; ++n)
    for (int64_t k = 0; k < slots; ++k) {
      int32_t id = ids[n * slots + k];
      if (id < 0)
        continue;
      const std::vector<int32_t> &list = layer.placements[0].experts[id];
      result.hasForeign |=
          std::find(list.begin(), list.end(), own->getRank()) == list.end();
      for (int64_t i = 0; i < kWidth; ++i)
        sums[n * kWidth + i] +=
            (id + 1) * weights[n * slots + k] * rows[n * kWidth + i];
    }
  result.rows = count;
  result.result.assign(layer.tokens * kWidth, -1);
  EXPECT_TRUE(exchange.combine(sums.data(), kWidth, kWidth,
                               result.result.data(), kWidth,
                               /*isOverlapped=*/layer.tokens % 2 == 0));
  if (layer.tokens % 2 == 0) {
    EXPECT_TRUE(exchange.wait());
  }
  result.bytesSent = own->getBytesSent();
  return result;
}

/// A layer for each rank.
std::vector<RankResult> runRanks(const std::vector<Layer> &layers) {
  std::vector<RankResult> results(layers.size());
  std::vector<std::thread> threads;
  size_t number = 0;
  for (std::shared_ptr<Communicator> &rank : makeLocalGroup(layers.size())) {
    threads.emplace_back(
        [&layer = layers[number], rank, &result = results[number]] {
          result = runRank(layer, rank);
        });
    ++number;
  }
  for (std::thread &thread : threads)
    thread.join();
  return results;
}

std::vector<RankResult> runRanks(const Layer &layer, int ranks) {
  return runRanks(std::vector<Layer>(ranks, layer));
}

} // namespace

// Tests that all ranks get what one rank would compute, with replicas, with
// fewer tokens than ranks, and with none, by each algorithm.
TEST(ExpertExchangeTest, AgreesWithOneRank) {
  for (ExchangeAlgorithm algorithm : kAlgorithms)
    for (int64_t tokens : {0, 1, 2, 7, 64}) {
      Layer layer({{0}, {1, 2}, {2, 0, 3}, {3}}, tokens, 3, algorithm);
      layer.layout = {4, 2, /*hasOwnTokens=*/false};
      for (const RankResult &rank : runRanks(layer, 4)) {
        EXPECT_EQ(rank.result, layer.compute()) << tokens << " tokens";
        EXPECT_FALSE(rank.hasForeign);
      }
    }
}

// Tests the same for ranks with tokens of their own, some with none.
TEST(ExpertExchangeTest, OwnTokens) {
  for (ExchangeAlgorithm algorithm : kAlgorithms) {
    std::vector<Layer> layers;
    for (int64_t tokens : {5, 0, 64, 1}) {
      Layer &layer = layers.emplace_back(
          Layer({{0}, {1, 2}, {2, 0, 3}, {3}}, tokens, 3, algorithm));
      layer.layout = {4, 2, /*hasOwnTokens=*/true};
    }
    std::vector<RankResult> ranks = runRanks(layers);
    for (size_t i = 0; i < layers.size(); ++i) {
      EXPECT_EQ(ranks[i].result, layers[i].compute()) << "rank " << i;
      EXPECT_FALSE(ranks[i].hasForeign);
    }
  }
}

// Tests that the tokens of all ranks choose the algorithm: 8 are gathered, and
// 9 go to the ranks of their experts only.
TEST(ExpertExchangeTest, TokensOfAllRanksChoose) {
  for (int64_t tokens : {4, 5}) {
    std::vector<Layer> layers(2, Layer({{0}, {0}}, 4, 1));
    layers[1] = Layer({{0}, {0}}, tokens, 1);
    for (Layer &layer : layers) {
      layer.layout = {2, 2, /*hasOwnTokens=*/true};
      layer.placements[0].exchanges = {{8, ExchangeAlgorithm::Gather},
                                       {kUnbounded, ExchangeAlgorithm::Direct}};
    }
    std::vector<RankResult> ranks = runRanks(layers);
    EXPECT_EQ(ranks[1].rows, tokens == 4 ? 8 : 0);
  }
}

// Tests that a row for two ranks of another node crosses to it once, and that
// one sum comes back.
TEST(ExpertExchangeTest, CrossesNodesOnce) {
  Layer layer({{2}, {3}}, 4, 2, ExchangeAlgorithm::TwoLevel);
  layer.layout = {4, 2, /*hasOwnTokens=*/true};
  layer.ids = {0, 1, 0, 1, 0, 1, 0, 1};
  std::vector<Layer> layers(4, layer);
  for (int rank : {1, 2, 3}) {
    layers[rank] = Layer({{2}, {3}}, 0, 2, ExchangeAlgorithm::TwoLevel);
    layers[rank].layout = layer.layout;
  }
  std::vector<RankResult> ranks = runRanks(layers);
  EXPECT_EQ(ranks[0].result, layer.compute());
  int64_t row = kWidth * sizeof(float), there = row + 2 * 8;
  EXPECT_EQ(ranks[0].bytesSent, 4 * there);
  // Rank 2 lets the rows in, passes them on, and returns sums.
  EXPECT_EQ(ranks[2].bytesSent, 4 * there + 4 * row);
  EXPECT_EQ(ranks[3].bytesSent, 4 * row);
}

// Tests that a rank that holds no expert still answers for its tokens.
TEST(ExpertExchangeTest, RankWithoutExperts) {
  Layer layer({{0}, {0}}, 9, 2);
  layer.layout.ranks = 2;
  std::vector<RankResult> ranks = runRanks(layer, 2);
  EXPECT_EQ(ranks[1].rows, 0);
  EXPECT_EQ(ranks[1].result, layer.compute());
}

// Tests that a row is sent once to a rank that holds several of its experts:
// the number of the row, ids and weights one way, a sum the other way, and the
// results.
TEST(ExpertExchangeTest, SendsRowsOnce) {
  Layer layer({{1}, {1}}, 8, 2);
  layer.layout.ranks = 2;
  layer.ids.assign(16, 0);
  for (int64_t t = 0; t < 8; ++t)
    layer.ids[2 * t + 1] = 1;
  std::vector<RankResult> ranks = runRanks(layer, 2);
  int64_t row = kWidth * sizeof(float);
  EXPECT_EQ(ranks[1].rows, 8);
  // Each rank owns four tokens.
  EXPECT_EQ(ranks[0].bytesSent, 4 * (8 + 2 * 8) + 4 * row);
  EXPECT_EQ(ranks[1].bytesSent, 4 * row + 4 * row);
}

// Tests that an expert that does not exist is an error.
TEST(ExpertExchangeTest, UnknownExpert) {
  Layer layer({{0}}, 1, 1);
  layer.ids[0] = 1;
  ExpertExchange exchange(makeLocalGroup(1).front(), layer.layout,
                          layer.placements);
  int64_t count;
  EXPECT_FALSE(exchange.begin(0, layer.ids.data(), 1, 1, 1, count));
  EXPECT_EQ(exchange.getError(), "expected an expert below 1, got 1");
}
