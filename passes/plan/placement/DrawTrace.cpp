//===- DrawTrace.cpp - routing traces from distributions --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Experts ring like clocks at rates of their own, and a token takes the first K
// that ring. Within a time s an expert of rate w has rung with probability
// 1 - exp(-w s), which gives the loads of a layer without drawing anything.
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/RoutingTrace.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringRef.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>

using namespace mlir::moe;

/// Topics of tokens, and how much a topic changes the logarithm of a rate.
static constexpr int kTopics = 16;
static constexpr double kTopicStrength = 1.0;

namespace {
/// Uniform in (0, 1), the same on every platform.
class Random {
public:
  explicit Random(uint64_t seed) : engine(seed) {}

  double uniform() { return (double(engine() >> 11) + 0.5) * 0x1p-53; }
  uint64_t below(uint64_t limit) { return engine() % limit; }
  double normal() {
    return std::sqrt(-2 * std::log(uniform())) *
           std::cos(2 * 3.14159265358979323846 * uniform());
  }
  void shuffle(std::vector<double> &values) {
    for (size_t i = values.size(); i > 1; --i)
      std::swap(values[i - 1], values[below(i)]);
  }

private:
  std::mt19937_64 engine;
};

using Rates = std::vector<double>;
} // namespace

/// The time until `slots` clocks have rung on average. The number that have
/// rung is a concave function of time, so Newton's steps approach from below.
static double getTime(const Rates &rates, int64_t slots) {
  double time = 0;
  for (int i = 0; i < 30; ++i) {
    double missing = slots, slope = 0;
    for (double rate : rates) {
      double silent = std::exp(-rate * time);
      missing -= 1 - silent;
      slope += rate * silent;
    }
    if (missing < 1e-4 || slope <= 0)
      break;
    time += missing / slope;
  }
  return time;
}

/// (max - mean) / mean of the loads, averaged over the topics.
static double getImbalance(const std::vector<Rates> &topics, int64_t slots) {
  std::vector<double> loads(topics[0].size());
  for (const Rates &rates : topics) {
    double time = getTime(rates, slots);
    for (size_t e = 0; e < rates.size(); ++e)
      loads[e] -= std::expm1(-rates[e] * time);
  }
  double mean = std::accumulate(loads.begin(), loads.end(), 0.0) / loads.size();
  return *llvm::max_element(loads) / mean - 1;
}

/// Rates `exp(spread * popularity + taste)` for each topic.
static std::vector<Rates> getRates(const std::vector<double> &popularity,
                                   const std::vector<Rates> &taste,
                                   double spread) {
  std::vector<Rates> rates = taste;
  for (Rates &topic : rates)
    for (size_t e = 0; e < topic.size(); ++e)
      topic[e] = std::exp(spread * popularity[e] + topic[e]);
  return rates;
}

/// The spread at which the loads have this imbalance.
static double findSpread(const std::vector<double> &popularity,
                         const std::vector<Rates> &taste, int64_t slots,
                         double imbalance) {
  double low = 0, high = 4;
  for (int i = 0; i < 12; ++i) {
    double middle = (low + high) / 2;
    bool below =
        getImbalance(getRates(popularity, taste, middle), slots) < imbalance;
    (below ? low : high) = middle;
  }
  return high;
}

/// The target of layer `index`: all values of a triangle from 0.5 to 2.5 whose
/// mean is 1.56, in an order that looks random.
static double getTargetImbalance(size_t index) {
  double x = std::fmod((index + 1) * 0.6180339887498949, 1.0);
  constexpr double low = 0.5, high = 2.5, mode = 3 * 1.56 - low - high;
  double turn = (mode - low) / (high - low);
  return x < turn ? low + std::sqrt(x * (high - low) * (mode - low))
                  : high - std::sqrt((1 - x) * (high - low) * (high - mode));
}

/// Keeps the experts of the better half of the groups, as a token sees them.
static void restrictToGroups(std::vector<std::pair<double, int32_t>> &rings,
                             int64_t groups) {
  int64_t size = rings.size() / groups;
  std::vector<std::pair<double, int64_t>> first;
  for (int64_t g = 0; g < groups; ++g) {
    auto begin = rings.begin() + g * size;
    first.emplace_back(std::min_element(begin, begin + size)->first, g);
  }
  llvm::sort(first);
  for (int64_t i = (groups + 1) / 2; i < groups; ++i)
    for (int64_t e = 0; e < size; ++e)
      rings[first[i].second * size + e].first = HUGE_VAL;
}

static LayerTrace drawLayer(const ExpertLayer &layer,
                            const std::vector<Rates> &rates, int64_t tokens,
                            const std::vector<int> &topics, Random &random) {
  LayerTrace trace{layer.slots, {}};
  trace.ids.reserve(tokens * layer.slots);
  std::vector<std::pair<double, int32_t>> rings(layer.experts);
  bool grouped =
      layer.groups > 1 && layer.experts % layer.groups == 0 &&
      (layer.groups + 1) / 2 * (layer.experts / layer.groups) >= layer.slots;
  for (int64_t t = 0; t < tokens; ++t) {
    const Rates &topic = rates[topics[t]];
    for (int64_t e = 0; e < layer.experts; ++e)
      rings[e] = {-std::log(random.uniform()) / topic[e], int32_t(e)};
    if (grouped)
      restrictToGroups(rings, layer.groups);
    std::partial_sort(rings.begin(), rings.begin() + layer.slots, rings.end());
    for (int64_t k = 0; k < layer.slots; ++k)
      trace.ids.push_back(rings[k].second);
  }
  return trace;
}

llvm::Expected<RoutingTrace> mlir::moe::drawTrace(const ExpertModel &model,
                                                  llvm::StringRef distribution,
                                                  int64_t tokens,
                                                  uint64_t seed) {
  double exponent = 0;
  llvm::StringRef rest = distribution;
  bool zipf = rest.consume_front("zipf:");
  if (zipf ? rest.getAsDouble(exponent) || !(exponent >= 0 && exponent <= 10)
           : distribution != "uniform" && distribution != "skewed")
    return llvm::createStringError(
        "expected the distribution uniform, zipf:S with S from 0 to 10, or "
        "skewed, got '" +
        distribution + "'");
  Random random(seed);
  RoutingTrace trace{distribution.str(), {}};
  std::vector<int> topics(tokens);
  for (int &topic : topics)
    topic = random.below(kTopics);
  for (size_t i = 0; i < model.layers.size(); ++i) {
    const ExpertLayer &layer = model.layers[i];
    std::vector<double> popularity(layer.experts);
    for (int64_t e = 0; e < layer.experts; ++e)
      popularity[e] = distribution == "skewed" ? random.normal()
                                               : -exponent * std::log(e + 1);
    random.shuffle(popularity);
    std::vector<Rates> taste(kTopics, Rates(layer.experts));
    for (Rates &topic : taste)
      for (double &value : topic)
        value = kTopicStrength * random.normal();
    // The average over the topics is what `popularity` says.
    for (int64_t e = 0; e < layer.experts; ++e) {
      double sum = 0;
      for (const Rates &topic : taste)
        sum += std::exp(topic[e]);
      for (Rates &topic : taste)
        topic[e] -= std::log(sum / kTopics);
    }
    double spread = 1;
    if (distribution == "skewed")
      spread =
          findSpread(popularity, taste, layer.slots, getTargetImbalance(i));
    trace.layers.push_back(drawLayer(layer, getRates(popularity, taste, spread),
                                     tokens, topics, random));
  }
  return trace;
}
