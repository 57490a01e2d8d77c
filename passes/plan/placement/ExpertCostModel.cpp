//===- ExpertCostModel.cpp - the time of an expert layer on ranks -----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/ExpertCostModel.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>

using namespace mlir::moe;

double LayerTime::getSlowest() const {
  double slowest = 0;
  for (auto [c, x] : llvm::zip_equal(compute, exchange))
    slowest = std::max(slowest, c + x);
  return slowest;
}

ExpertCostModel::ExpertCostModel(const ExpertLayer &layer,
                                 const Machine &machine, TokenOwners owners,
                                 double tokens)
    : layer(layer), machine(machine), owners(owners), tokens(tokens) {}

double ExpertCostModel::getComputeTime(double load, int rank) const {
  if (load <= 0)
    return 0;
  const Rank &info = machine.ranks[rank];
  double compute = tokens * load * layer.getFlops() / info.flops;
  // 1 - (1 - load)^tokens; a load beyond 1 comes from ids that repeat.
  double used = load < 1 ? -std::expm1(tokens * std::log1p(-load)) : 1;
  double read = used * layer.getExpertBytes() / info.memoryBandwidth;
  return std::max(compute, read);
}

/// What `rank` receives in one direction: the latencies of a message from each
/// other rank, and the bandwidth at which rows come when all ranks, `rank`
/// itself among them, send the same number.
static Link getReceivingLink(const Machine &machine, int rank) {
  int ranks = machine.getNumRanks(), local = machine.ranksPerNode;
  Link within = machine.withinNode, between = machine.betweenNodes;
  double latency =
      (local - 1) * within.latency + (ranks - local) * between.latency;
  double perByte =
      (local - 1) / within.bandwidth + (ranks - local) / between.bandwidth;
  if (!machine.links.empty()) {
    latency = perByte = 0;
    for (int other = 0; other < ranks; ++other) {
      if (other == rank)
        continue;
      Link link = machine.getLink(other, rank);
      latency += link.latency;
      perByte += 1 / link.bandwidth;
    }
  }
  return {latency, ranks / perByte};
}

/// The slowest link over which a rank receives.
static Link getSlowestReceivingLink(const Machine &machine) {
  Link slowest{0, HUGE_VAL};
  for (int rank = 0; rank < machine.getNumRanks(); ++rank) {
    Link link = getReceivingLink(machine, rank);
    slowest.latency = std::max(slowest.latency, link.latency);
    slowest.bandwidth = std::min(slowest.bandwidth, link.bandwidth);
    // All ranks have equal links.
    if (machine.links.empty())
      break;
  }
  return slowest;
}

ExchangeCost ExpertCostModel::getExchangeCost(Exchange exchange) const {
  int ranks = machine.getNumRanks(), nodes = machine.getNumNodes();
  int local = machine.ranksPerNode;
  double bytes = layer.getDispatchBytes(owners) + layer.getCombineBytes();
  bool areShared = owners == TokenOwners::AllRanks;
  Link slowest = ranks == 1 ? Link() : getSlowestReceivingLink(machine);
  ExchangeCost cost;
  cost.perVisit.assign(ranks, 0);
  if (ranks == 1)
    return cost;
  switch (exchange) {
  case Exchange::Gather:
    // Rows and sums. Ranks that have all tokens know how many rows come.
    cost.latency = (areShared ? 2 : 3) * slowest.latency;
    cost.perToken = bytes / slowest.bandwidth;
    break;
  case Exchange::Direct:
    // Three messages between any two ranks: counts, rows and sums.
    for (int rank = 0; rank < ranks; ++rank) {
      Link link = getReceivingLink(machine, rank);
      cost.latency = std::max(cost.latency, 3 * link.latency);
      cost.perVisit[rank] = bytes / link.bandwidth;
    }
    break;
  case Exchange::TwoLevel: {
    Link within = machine.withinNode, between = machine.betweenNodes;
    // Between nodes counts, ids, rows and sums, within them all but ids.
    cost.latency =
        4 * (nodes - 1) * between.latency + 3 * (local - 1) * within.latency;
    // The ranks of a node share what comes from other nodes.
    cost.perNodeVisit = bytes * (nodes - 1) / nodes / local / between.bandwidth;
    cost.perVisit.assign(ranks, bytes * (local - 1) / local / within.bandwidth);
    break;
  }
  }
  if (areShared) {
    // The results.
    cost.latency += slowest.latency;
    cost.perToken += layer.getCombineBytes() / slowest.bandwidth;
  }
  return cost;
}

LayerTime ExpertCostModel::getTime(const LayerPlacement &placement,
                                   llvm::ArrayRef<double> expertLoads,
                                   const Visits &visits,
                                   Exchange exchange) const {
  int ranks = machine.getNumRanks();
  LayerTime time{std::vector<double>(ranks), std::vector<double>(ranks)};
  // Gathered or not, a replica computes its own rows only.
  for (auto [turns, load] : llvm::zip_equal(placement, expertLoads)) {
    Turns sorted = turns;
    llvm::sort(sorted);
    for (auto *begin = sorted.begin(); begin != sorted.end();) {
      auto *end = std::upper_bound(begin, sorted.end(), *begin);
      time.compute[*begin] +=
          getComputeTime(load * (end - begin) / sorted.size(), *begin);
      begin = end;
    }
  }
  ExchangeCost cost = getExchangeCost(exchange);
  for (int rank = 0; rank < ranks; ++rank)
    time.exchange[rank] =
        cost.latency +
        tokens * (cost.perToken + cost.perVisit[rank] * visits.ranks[rank] +
                  cost.perNodeVisit * visits.nodes[machine.getNode(rank)]);
  return time;
}

Exchange ExpertCostModel::chooseExchange(const LayerPlacement &placement,
                                         llvm::ArrayRef<double> expertLoads,
                                         const Visits &visits) const {
  Exchange best = Exchange::Direct;
  double lowest = HUGE_VAL;
  for (Exchange exchange :
       {Exchange::Direct, Exchange::TwoLevel, Exchange::Gather}) {
    // Two levels need several nodes of several ranks, and equal links.
    if (exchange == Exchange::TwoLevel &&
        (machine.getNumNodes() == 1 || machine.ranksPerNode == 1 ||
         !machine.links.empty()))
      continue;
    double time =
        getTime(placement, expertLoads, visits, exchange).getSlowest();
    if (time < lowest) {
      lowest = time;
      best = exchange;
    }
  }
  return best;
}

Visits mlir::moe::countVisits(const LayerPlacement &placement,
                              const LayerTrace &trace, const Machine &machine) {
  int64_t tokens = trace.getTokens();
  Visits visits{std::vector<double>(machine.getNumRanks()),
                std::vector<double>(machine.getNumNodes())};
  std::vector<int64_t> lastAtRank(machine.getNumRanks(), -1);
  std::vector<int64_t> lastAtNode(machine.getNumNodes(), -1);
  for (int64_t t = 0; t < tokens; ++t)
    for (int32_t id : trace.getToken(t)) {
      if (id < 0)
        continue;
      const Turns &turns = placement[id];
      int rank = turns[t % turns.size()];
      if (std::exchange(lastAtRank[rank], t) != t)
        visits.ranks[rank] += 1.0 / tokens;
      int node = machine.getNode(rank);
      if (std::exchange(lastAtNode[node], t) != t)
        visits.nodes[node] += 1.0 / tokens;
    }
  return visits;
}

std::vector<ExchangeChoice>
mlir::moe::chooseExchanges(const ExpertLayer &layer, const Machine &machine,
                           TokenOwners owners, const LayerPlacement &placement,
                           llvm::ArrayRef<double> expertLoads,
                           const Visits &visits, int64_t maxTokens) {
  std::vector<ExchangeChoice> choices;
  for (int64_t tokens = 1;; tokens *= 2) {
    bool last = tokens >= maxTokens;
    Exchange best = ExpertCostModel(layer, machine, owners, tokens)
                        .chooseExchange(placement, expertLoads, visits);
    if (choices.empty() || choices.back().exchange != best)
      choices.push_back({tokens, best});
    choices.back().maxTokens = last ? ExchangeChoice::kUnbounded : tokens;
    if (last)
      return choices;
  }
}
