//===- Placement.cpp - where the experts of a layer live --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/Placement.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/ErrorHandling.h"

#include <numeric>

using namespace mlir::moe;

llvm::StringRef mlir::moe::getExchangeName(Exchange exchange) {
  switch (exchange) {
  case Exchange::Gather:
    return "gather";
  case Exchange::Direct:
    return "direct";
  case Exchange::TwoLevel:
    return "two_level";
  }
  llvm_unreachable("unknown exchange");
}

std::optional<Exchange> mlir::moe::parseExchange(llvm::StringRef name) {
  return llvm::StringSwitch<std::optional<Exchange>>(name)
      .Case("gather", Exchange::Gather)
      .Case("direct", Exchange::Direct)
      .Case("two_level", Exchange::TwoLevel)
      .Default(std::nullopt);
}

Exchange mlir::moe::getExchange(llvm::ArrayRef<ExchangeChoice> choices,
                                int64_t tokens) {
  for (const ExchangeChoice &choice : choices)
    if (tokens <= choice.maxTokens)
      return choice.exchange;
  return Exchange::Direct;
}

std::vector<Replica> mlir::moe::getReplicas(const LayerPlacement &placement) {
  std::vector<Replica> replicas;
  for (auto [expert, turns] : llvm::enumerate(placement)) {
    Turns ranks = turns;
    llvm::sort(ranks);
    ranks.erase(llvm::unique(ranks), ranks.end());
    for (int rank : ranks)
      replicas.push_back({int(expert), rank});
  }
  return replicas;
}

LayerPlacement mlir::moe::makePlacement(llvm::ArrayRef<Replica> replicas,
                                        int experts) {
  LayerPlacement placement(experts);
  for (const Replica &replica : replicas)
    placement[replica.expert].push_back(replica.rank);
  for (Turns &turns : placement)
    llvm::sort(turns);
  return placement;
}

std::vector<double> mlir::moe::getRankLoads(const LayerPlacement &placement,
                                            llvm::ArrayRef<double> expertLoads,
                                            int ranks) {
  std::vector<double> loads(ranks);
  for (auto [turns, load] : llvm::zip_equal(placement, expertLoads))
    for (int rank : turns)
      loads[rank] += load / turns.size();
  return loads;
}

std::vector<int64_t>
mlir::moe::countAssignments(const LayerPlacement &placement,
                            const LayerTrace &trace, int ranks,
                            int64_t tokens) {
  std::vector<int64_t> counts(ranks);
  for (int64_t begin = 0; begin < trace.getTokens(); begin += tokens)
    dealOut(trace.slice(begin, std::min(begin + tokens, trace.getTokens())),
            ranks, placement.size(), [&](int, int64_t, int id, int turn) {
              ++counts[placement[id][turn % placement[id].size()]];
            });
  return counts;
}

double mlir::moe::getImbalance(llvm::ArrayRef<double> loads) {
  double sum = std::accumulate(loads.begin(), loads.end(), 0.0);
  return sum > 0 ? *llvm::max_element(loads) * loads.size() / sum - 1 : 0;
}
