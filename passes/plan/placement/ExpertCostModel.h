//===- ExpertCostModel.h - the time of an expert layer on ranks -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// With T tokens in a step, spread evenly over R ranks:
//
//   compute(r)  = sum over the replicas on r of
//                 max(assignments * flops / rate,
//                     P(replica is used) * bytes of its weights / bandwidth)
//   exchange(r) = latency + T * (perVisit * visits(r) + perNodeVisit *
//                 visits(node of r))
//
// where `visits` is the fraction of tokens that have at least one expert there:
// a token is sent once to a rank, however many of its experts that rank holds.
// Where all ranks have all tokens, they also tell each other the results, which
// takes a latency and a time for each token. The time of the layer is that of
// the slowest rank.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_EXPERTCOSTMODEL_H
#define PASSES_PLAN_PLACEMENT_EXPERTCOSTMODEL_H

#include "passes/plan/placement/ExpertModel.h"
#include "passes/plan/placement/Machine.h"
#include "passes/plan/placement/Placement.h"
#include "passes/plan/placement/RoutingTrace.h"

namespace mlir::moe {

/// Seconds of an exchange, there and back, as functions of a token's visits.
struct ExchangeCost {
  double latency = 0;
  /// Whether or not a token visits a rank.
  double perToken = 0;
  /// For each rank, and for each node.
  std::vector<double> perVisit;
  double perNodeVisit = 0;
};

/// The fractions of tokens with an expert on a rank, and on a node.
struct Visits {
  std::vector<double> ranks, nodes;
};

/// Predicted seconds of one layer, for each rank.
struct LayerTime {
  std::vector<double> compute, exchange;
  double getSlowest() const;
};

class ExpertCostModel {
public:
  /// For steps of `tokens` tokens over all ranks.
  ExpertCostModel(const ExpertLayer &layer, const Machine &machine,
                  TokenOwners owners, double tokens);

  /// Seconds that `rank` computes for a replica with `load` assignments per
  /// token.
  double getComputeTime(double load, int rank) const;

  ExchangeCost getExchangeCost(Exchange exchange) const;

  LayerTime getTime(const LayerPlacement &placement,
                    llvm::ArrayRef<double> expertLoads, const Visits &visits,
                    Exchange exchange) const;

  /// The exchange with the lowest time of the slowest rank.
  Exchange chooseExchange(const LayerPlacement &placement,
                          llvm::ArrayRef<double> expertLoads,
                          const Visits &visits) const;

  const Machine &getMachine() const { return machine; }
  double getTokens() const { return tokens; }

private:
  const ExpertLayer &layer;
  const Machine &machine;
  TokenOwners owners;
  double tokens;
};

/// Counts visits; `trace` stands for what tokens will do.
Visits countVisits(const LayerPlacement &placement, const LayerTrace &trace,
                   const Machine &machine);

/// The exchange for each number of tokens up to `maxTokens`, and beyond.
std::vector<ExchangeChoice>
chooseExchanges(const ExpertLayer &layer, const Machine &machine,
                TokenOwners owners, const LayerPlacement &placement,
                llvm::ArrayRef<double> expertLoads, const Visits &visits,
                int64_t maxTokens);

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_EXPERTCOSTMODEL_H
