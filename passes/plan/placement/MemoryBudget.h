//===- MemoryBudget.h - what fits into the memory of the ranks --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_MEMORYBUDGET_H
#define PASSES_PLAN_PLACEMENT_MEMORYBUDGET_H

#include "passes/plan/placement/Greedy.h"
#include "passes/plan/placement/Plan.h"

namespace mlir::moe {

/// Replicas of one layer of `experts` experts: all ranks hold about the same
/// number, and no more than fits beside the other layers and the dense weights.
/// Holds fewer than `experts` replicas if the experts do not fit.
ReplicaBudget getReplicaBudget(const ExpertModel &model, const Machine &machine,
                               DenseKind dense, int64_t experts,
                               int64_t extraReplicas);

/// Seconds of a step of `tokens` tokens outside the expert layers.
double getDenseSeconds(const ExpertModel &model, const Machine &machine,
                       DenseKind dense, double tokens);

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_MEMORYBUDGET_H
