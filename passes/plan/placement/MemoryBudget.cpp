//===- MemoryBudget.cpp - what fits into the memory of the ranks ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/MemoryBudget.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <numeric>

using namespace mlir::moe;

ReplicaBudget mlir::moe::getReplicaBudget(const ExpertModel &model,
                                          const Machine &machine,
                                          DenseKind dense, int64_t experts,
                                          int64_t extraReplicas) {
  int ranks = machine.getNumRanks();
  double denseBytes = model.denseBytes;
  if (dense == DenseKind::Sharded)
    denseBytes /= ranks;
  // One replica in each layer.
  double bytes = 0;
  for (const ExpertLayer &layer : model.layers)
    bytes += layer.getExpertBytes();

  // No rank needs two replicas of one expert.
  int64_t wanted = std::min(experts + extraReplicas, experts * ranks);
  ReplicaBudget budget;
  std::vector<int64_t> fitting;
  for (const Rank &rank : machine.ranks) {
    double room = std::max(rank.memoryBytes - denseBytes, 0.0);
    fitting.push_back(bytes > 0 ? std::min<double>(room / bytes, experts)
                                : experts);
    budget.capacity.push_back(
        std::min<int64_t>(fitting.back(), llvm::divideCeil(wanted, ranks)));
  }
  // Ranks with more memory take what does not fit on the others.
  int64_t total = std::accumulate(budget.capacity.begin(),
                                  budget.capacity.end(), int64_t(0));
  for (bool grown = true; grown && total < wanted;) {
    grown = false;
    for (int rank = 0; rank < ranks && total < wanted; ++rank)
      if (budget.capacity[rank] < fitting[rank]) {
        ++budget.capacity[rank];
        ++total;
        grown = true;
      }
  }
  budget.replicas = std::min(total, wanted);
  return budget;
}

double mlir::moe::getDenseSeconds(const ExpertModel &model,
                                  const Machine &machine, DenseKind dense,
                                  double tokens) {
  int ranks = machine.getNumRanks();
  bool sharded = dense == DenseKind::Sharded;
  double bytes = model.denseBytes;
  int64_t weightBytes = 4, rowBytes = 0;
  if (!model.layers.empty()) {
    const ExpertLayer &layer = model.layers.front();
    weightBytes = std::max<int64_t>(layer.activationBits / 8, 1);
    rowBytes = layer.getCombineBytes();
  }
  // Either the tokens or the weights are split, or nothing is.
  double flops = tokens * 2 * bytes / weightBytes;
  if (dense != DenseKind::Repeated)
    flops /= ranks;
  double slowest = 0;
  for (const Rank &rank : machine.ranks)
    slowest = std::max(
        slowest, std::max(flops / rank.flops, bytes / (sharded ? ranks : 1) /
                                                  rank.memoryBandwidth));
  if (!sharded || ranks == 1)
    return slowest;
  // Two sums over all ranks in each layer.
  Link link =
      machine.getNumNodes() > 1 ? machine.betweenNodes : machine.withinNode;
  double sum = 2 * llvm::Log2_32_Ceil(ranks) * link.latency +
               2 * tokens * rowBytes * (ranks - 1) / ranks / link.bandwidth;
  return slowest + 2 * sum * model.layers.size();
}
