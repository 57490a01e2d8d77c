//===- Greedy.h - placements without search ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_GREEDY_H
#define PASSES_PLAN_PLACEMENT_GREEDY_H

#include "passes/plan/placement/ExpertModel.h"
#include "passes/plan/placement/Machine.h"
#include "passes/plan/placement/Placement.h"

namespace mlir::moe {

/// How many replicas a layer has, and how many fit on each rank.
struct ReplicaBudget {
  int replicas = 0;
  std::vector<int> capacity;
};

/// The number of replicas of each expert, `total` together: each further one
/// goes to the expert whose replicas have the highest load, and no expert gets
/// more than `limit`.
std::vector<int> replicateGreedily(llvm::ArrayRef<double> loads, int total,
                                   int limit);

/// Takes replicas by falling load and puts each on the rank that is least busy,
/// by its load over its speed, among those with room.
std::vector<Replica> packGreedily(llvm::ArrayRef<double> loads,
                                  llvm::ArrayRef<int> counts,
                                  const Machine &machine,
                                  llvm::ArrayRef<int> capacity);

/// Replicates and packs. Where the experts form groups that can be dealt out to
/// the nodes evenly, groups are packed on nodes first, then the experts of each
/// node are replicated and packed on its ranks.
std::vector<Replica> placeGreedily(const ExpertLayer &layer,
                                   llvm::ArrayRef<double> loads,
                                   const Machine &machine,
                                   const ReplicaBudget &budget);

/// Expert e on the ranks e, e + 1, ... in turn, whatever the loads are.
std::vector<Replica> placeRoundRobin(const ExpertLayer &layer,
                                     const ReplicaBudget &budget);

/// Replicas at random.
std::vector<Replica> placeRandomly(const ExpertLayer &layer,
                                   const ReplicaBudget &budget, uint64_t seed);

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_GREEDY_H
