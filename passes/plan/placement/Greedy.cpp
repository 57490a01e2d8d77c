//===- Greedy.cpp - placements without search -------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/Greedy.h"

#include "llvm/ADT/STLExtras.h"

#include <cmath>
#include <numeric>
#include <queue>
#include <random>
#include <set>

using namespace mlir::moe;

std::vector<int> mlir::moe::replicateGreedily(llvm::ArrayRef<double> loads,
                                              int total, int limit) {
  std::vector<int> counts(loads.size(), 1);
  // The heaviest replica first, of equal ones that of the lower expert.
  using Entry = std::pair<double, int>;
  std::priority_queue<Entry> heaviest;
  if (limit > 1)
    for (auto [expert, load] : llvm::enumerate(loads))
      heaviest.push({load, -int(expert)});
  for (int i = loads.size(); i < total && !heaviest.empty(); ++i) {
    int expert = -heaviest.top().second;
    heaviest.pop();
    if (++counts[expert] < limit)
      heaviest.push({loads[expert] / counts[expert], -expert});
  }
  return counts;
}

namespace {
/// A rank while it is packed.
struct Bin {
  double time = 0;
  int room = 0;
  int lastExpert = -1;
};
} // namespace

/// Two replicas of an expert on one rank are of no use: exchanges the second
/// one with the replica on another rank whose load is nearest.
static void separateTwins(std::vector<Replica> &replicas,
                          llvm::ArrayRef<double> replicaLoads) {
  auto isHeld = [&](int expert, int rank) {
    return llvm::any_of(replicas, [&](const Replica &replica) {
      return replica.expert == expert && replica.rank == rank;
    });
  };
  std::set<std::pair<int, int>> seen;
  for (auto [i, twin] : llvm::enumerate(replicas)) {
    if (seen.insert({twin.expert, twin.rank}).second)
      continue;
    int best = -1;
    double nearest = 0;
    for (auto [j, other] : llvm::enumerate(replicas)) {
      if (isHeld(twin.expert, other.rank) || isHeld(other.expert, twin.rank))
        continue;
      double distance = std::abs(replicaLoads[i] - replicaLoads[j]);
      if (best < 0 || distance < nearest) {
        best = j;
        nearest = distance;
      }
    }
    if (best < 0)
      continue;
    std::swap(twin.rank, replicas[best].rank);
    seen.insert({twin.expert, twin.rank});
    seen.insert({replicas[best].expert, replicas[best].rank});
  }
}

std::vector<Replica> mlir::moe::packGreedily(llvm::ArrayRef<double> loads,
                                             llvm::ArrayRef<int> counts,
                                             const Machine &machine,
                                             llvm::ArrayRef<int> capacity) {
  std::vector<int> order(loads.size());
  std::iota(order.begin(), order.end(), 0);
  llvm::sort(order, [&](int a, int b) {
    return std::make_pair(-loads[a] / counts[a], a) <
           std::make_pair(-loads[b] / counts[b], b);
  });
  std::vector<Bin> bins(capacity.size());
  for (auto [bin, room] : llvm::zip_equal(bins, capacity))
    bin.room = room;
  std::vector<Replica> replicas;
  std::vector<double> replicaLoads;
  for (int expert : order)
    for (int copy = 0; copy < counts[expert]; ++copy) {
      // A second replica on a rank is for the case that no other has room.
      int best = -1;
      for (auto [rank, bin] : llvm::enumerate(bins)) {
        if (bin.room == 0)
          continue;
        auto key = [&](const Bin &bin) {
          return std::make_pair(bin.lastExpert == expert, bin.time);
        };
        if (best < 0 || key(bin) < key(bins[best]))
          best = rank;
      }
      if (best < 0)
        break;
      Bin &bin = bins[best];
      bin.time += loads[expert] / counts[expert] / machine.ranks[best].flops;
      bin.room -= 1;
      bin.lastExpert = expert;
      replicas.push_back({expert, best});
      replicaLoads.push_back(loads[expert] / counts[expert]);
    }
  separateTwins(replicas, replicaLoads);
  return replicas;
}

/// Whether groups of experts can be dealt out to the nodes evenly.
static bool isHierarchical(const ExpertLayer &layer, const Machine &machine,
                           const ReplicaBudget &budget) {
  int nodes = machine.getNumNodes();
  return nodes > 1 && layer.groups > 1 && layer.experts % layer.groups == 0 &&
         layer.groups % nodes == 0 && budget.replicas % nodes == 0;
}

static std::vector<Replica> placeByGroups(const ExpertLayer &layer,
                                          llvm::ArrayRef<double> loads,
                                          const Machine &machine,
                                          const ReplicaBudget &budget) {
  int nodes = machine.getNumNodes(), size = layer.experts / layer.groups;
  std::vector<double> groupLoads(layer.groups);
  for (auto [expert, load] : llvm::enumerate(loads))
    groupLoads[expert / size] += load;
  Machine nodesAsRanks;
  nodesAsRanks.ranks.resize(nodes);
  std::vector<Replica> groups =
      packGreedily(groupLoads, std::vector<int>(layer.groups, 1), nodesAsRanks,
                   std::vector<int>(nodes, layer.groups / nodes));

  std::vector<Replica> replicas;
  for (int node = 0; node < nodes; ++node) {
    std::vector<int> experts;
    std::vector<double> own;
    for (const Replica &group : groups)
      for (int e = 0; group.rank == node && e < size; ++e) {
        experts.push_back(group.expert * size + e);
        own.push_back(loads[experts.back()]);
      }
    int first = node * machine.ranksPerNode;
    Machine part;
    part.ranks.assign(machine.ranks.begin() + first,
                      machine.ranks.begin() + first + machine.ranksPerNode);
    llvm::ArrayRef<int> capacity =
        llvm::ArrayRef(budget.capacity).slice(first, machine.ranksPerNode);
    std::vector<int> counts =
        replicateGreedily(own, budget.replicas / nodes, machine.ranksPerNode);
    for (const Replica &replica : packGreedily(own, counts, part, capacity))
      replicas.push_back({experts[replica.expert], first + replica.rank});
  }
  return replicas;
}

std::vector<Replica> mlir::moe::placeGreedily(const ExpertLayer &layer,
                                              llvm::ArrayRef<double> loads,
                                              const Machine &machine,
                                              const ReplicaBudget &budget) {
  if (isHierarchical(layer, machine, budget)) {
    std::vector<Replica> replicas =
        placeByGroups(layer, loads, machine, budget);
    if (int(replicas.size()) == budget.replicas)
      return replicas;
  }
  std::vector<int> counts =
      replicateGreedily(loads, budget.replicas, machine.getNumRanks());
  return packGreedily(loads, counts, machine, budget.capacity);
}

std::vector<Replica> mlir::moe::placeRoundRobin(const ExpertLayer &layer,
                                                const ReplicaBudget &budget) {
  std::vector<int> room = budget.capacity;
  int ranks = room.size();
  std::vector<Replica> replicas;
  std::vector<std::vector<bool>> holds(ranks, std::vector<bool>(layer.experts));
  for (int i = 0, next = 0; i < budget.replicas; ++i) {
    int expert = i % layer.experts;
    for (int tried = 0; tried < ranks; ++tried) {
      int rank = (next + tried) % ranks;
      if (room[rank] == 0 || holds[rank][expert])
        continue;
      --room[rank];
      holds[rank][expert] = true;
      replicas.push_back({expert, rank});
      next = (rank + 1) % ranks;
      break;
    }
  }
  return replicas;
}

std::vector<Replica> mlir::moe::placeRandomly(const ExpertLayer &layer,
                                              const ReplicaBudget &budget,
                                              uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::vector<int> places;
  for (auto [rank, room] : llvm::enumerate(budget.capacity))
    places.insert(places.end(), room, rank);
  for (size_t i = places.size(); i > 1; --i)
    std::swap(places[i - 1], places[engine() % i]);
  std::vector<Replica> replicas;
  for (int i = 0; i < budget.replicas; ++i)
    replicas.push_back(
        {int(i < layer.experts ? i : engine() % layer.experts), places[i]});
  return replicas;
}
