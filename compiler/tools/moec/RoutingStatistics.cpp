//===- RoutingStatistics.cpp - what a routing trace shows -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/RoutingStatistics.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <numeric>

namespace json = llvm::json;

/// More experts than these make no readable picture.
static constexpr size_t kMatrixExperts = 64;

/// The mean over tokens of how many experts they share with the token before,
/// as a part of the slots.
static double getReuse(const mlir::moe::LayerTrace &choices) {
  int64_t tokens = choices.getTokens(), shared = 0;
  for (int64_t token = 1; token < tokens; ++token) {
    llvm::ArrayRef<int32_t> before = choices.getToken(token - 1);
    for (int32_t id : choices.getToken(token))
      shared += id >= 0 && llvm::is_contained(before, id);
  }
  return tokens > 1 ? double(shared) / ((tokens - 1) * choices.slots) : 0;
}

static double getLargestWeight(const RecordedLayer &layer) {
  int64_t tokens = layer.choices.getTokens(), slots = layer.choices.slots;
  if (layer.weights.empty())
    return 0;
  double sum = 0;
  for (int64_t token = 0; token < tokens; ++token) {
    auto begin = layer.weights.begin() + token * slots;
    sum += *std::max_element(begin, begin + slots);
  }
  return sum / tokens;
}

RoutingStatistics::RoutingStatistics(const RecordedLayer &layer)
    : loads(layer.experts) {
  for (int32_t id : layer.choices.ids)
    if (id >= 0)
      ++loads[id];
  double total = std::accumulate(loads.begin(), loads.end(), 0.0);
  unused = llvm::count(loads, 0);
  reuse = getReuse(layer.choices);
  largestWeight = getLargestWeight(layer);
  if (total == 0)
    return;
  imbalance = *llvm::max_element(loads) * loads.size() / total - 1;
  for (int64_t load : loads)
    if (load)
      entropy -= load / total * std::log2(load / total);
  // One expert is as even as it can be.
  entropy = loads.size() > 1 ? entropy / std::log2(loads.size()) : 1;
}

Coactivation::Coactivation(const RecordedLayer &layer,
                           const std::vector<int64_t> &loads, size_t limit) {
  experts.resize(loads.size());
  std::iota(experts.begin(), experts.end(), 0);
  llvm::stable_sort(experts,
                    [&](int64_t a, int64_t b) { return loads[a] > loads[b]; });
  experts.resize(std::min(experts.size(), limit));
  llvm::sort(experts);
  std::vector<int> place(loads.size(), -1);
  for (size_t i = 0; i < experts.size(); ++i)
    place[experts[i]] = i;
  counts.resize(experts.size() * experts.size());
  for (int64_t token = 0; token < layer.choices.getTokens(); ++token) {
    llvm::ArrayRef<int32_t> ids = layer.choices.getToken(token);
    for (int32_t a : ids)
      for (int32_t b : ids)
        if (a >= 0 && b >= 0 && place[a] >= 0 && place[b] >= 0)
          ++counts[place[a] * experts.size() + place[b]];
  }
}

json::Object describeRouting(llvm::ArrayRef<RecordedLayer> layers) {
  json::Array list;
  for (const RecordedLayer &layer : layers) {
    RoutingStatistics statistics(layer);
    Coactivation together(layer, statistics.loads, kMatrixExperts);
    list.push_back(
        json::Object{{"name", json::fixUTF8(layer.name)},
                     {"experts", layer.experts},
                     {"slots", layer.choices.slots},
                     {"tokens", layer.choices.getTokens()},
                     {"loads", json::Array(statistics.loads)},
                     {"imbalance", statistics.imbalance},
                     {"entropy", statistics.entropy},
                     {"unused", statistics.unused},
                     {"reuse", statistics.reuse},
                     {"largest_weight", statistics.largestWeight},
                     {"coactivation",
                      json::Object{{"experts", json::Array(together.experts)},
                                   {"counts", json::Array(together.counts)}}}});
  }
  return json::Object{{"layers", std::move(list)}};
}
