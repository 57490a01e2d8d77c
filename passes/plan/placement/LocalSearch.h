//===- LocalSearch.h - improves the placement of a layer --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_LOCALSEARCH_H
#define PASSES_PLAN_PLACEMENT_LOCALSEARCH_H

#include "passes/plan/placement/ExpertCostModel.h"

namespace mlir::moe {

struct SearchProblem {
  const ExpertCostModel &model;
  Exchange exchange;
  llvm::ArrayRef<double> loads;
  /// Tokens that stand for those to come.
  const LayerTrace &sample;
  /// Replicas that fit on each rank.
  llvm::ArrayRef<int> capacity;
};

/// Moves and exchanges replicas, and gives replicas of one expert to another,
/// as long as that makes the slowest rank faster; then, without making it
/// slower, brings experts together that are chosen together, so that tokens
/// visit fewer ranks. Neither changes the number of replicas. No rank gets a
/// higher load than the busiest one has in `start`.
std::vector<Replica> searchPlacement(const SearchProblem &problem,
                                     std::vector<Replica> start);

/// Unequal shares of the replicas of an expert, as long as that makes the
/// slowest rank faster.
LayerPlacement balanceShares(const ExpertCostModel &model, Exchange exchange,
                             llvm::ArrayRef<double> loads,
                             const LayerTrace &sample,
                             llvm::ArrayRef<Replica> replicas);

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_LOCALSEARCH_H
