//===- Shares.cpp - unequal shares of the replicas of an expert -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/LocalSearch.h"

#include "llvm/ADT/STLExtras.h"

#include <numeric>

using namespace mlir::moe;

/// The longest list of turns, where an expert has fewer replicas.
static constexpr int kMaxTurns = 16;

namespace {

/// The replicas of one expert, and how many of all turns each has.
struct Sharing {
  llvm::SmallVector<int, 2> ranks, turns;
  double load = 0;

  int getTotal() const {
    return std::accumulate(turns.begin(), turns.end(), 0);
  }
  /// Turns so that each rank comes back as regularly as possible.
  Turns spread() const;
};

} // namespace

Turns Sharing::spread() const {
  int divisor = 0;
  for (int turn : turns)
    divisor = std::gcd(divisor, turn);
  int total = getTotal() / divisor;
  Turns result;
  llvm::SmallVector<int, 2> given(ranks.size());
  for (int i = 0; i < total; ++i) {
    // The rank that is furthest behind its share.
    size_t best = 0;
    auto getLag = [&](size_t r) {
      return int64_t(turns[r] / divisor) * (i + 1) - int64_t(given[r]) * total;
    };
    for (size_t r = 1; r < ranks.size(); ++r)
      if (getLag(r) > getLag(best))
        best = r;
    ++given[best];
    result.push_back(ranks[best]);
  }
  return result;
}

LayerPlacement mlir::moe::balanceShares(const ExpertCostModel &model,
                                        Exchange exchange,
                                        llvm::ArrayRef<double> loads,
                                        const LayerTrace &sample,
                                        llvm::ArrayRef<Replica> replicas) {
  const Machine &machine = model.getMachine();
  LayerPlacement equal = makePlacement(replicas, loads.size());
  Visits visits = countVisits(equal, sample, machine);
  LayerTime time = model.getTime(equal, loads, visits, exchange);
  std::vector<double> times;
  for (auto [c, x] : llvm::zip_equal(time.compute, time.exchange))
    times.push_back(c + x);

  std::vector<double> rankLoads =
      getRankLoads(equal, loads, machine.getNumRanks());
  double maxLoad = *llvm::max_element(rankLoads);

  std::vector<Sharing> sharings(loads.size());
  std::vector<std::vector<int>> sharedOnRank(machine.getNumRanks());
  for (auto [expert, turns] : llvm::enumerate(equal)) {
    Sharing &sharing = sharings[expert];
    sharing.load = loads[expert];
    sharing.ranks = turns;
    sharing.ranks.erase(llvm::unique(sharing.ranks), sharing.ranks.end());
    int count = sharing.ranks.size();
    sharing.turns.assign(count, std::max(1, kMaxTurns / count));
    for (int rank : sharing.ranks)
      if (count > 1)
        sharedOnRank[rank].push_back(expert);
  }

  // One turn after the other goes from the slowest rank to the one that is
  // fastest with it.
  for (size_t limit = 64 * replicas.size(); limit > 0; --limit) {
    int slowest = llvm::max_element(times) - times.begin();
    double best = times[slowest] * (1 - 1e-9), giving = 0, taking = 0;
    Sharing *shared = nullptr;
    size_t giver = 0, taker = 0;
    for (int expert : sharedOnRank[slowest]) {
      Sharing &sharing = sharings[expert];
      size_t own = llvm::find(sharing.ranks, slowest) - sharing.ranks.begin();
      // A replica without a share would be memory without use.
      if (sharing.turns[own] == 1)
        continue;
      double turn = sharing.load / sharing.getTotal();
      auto getSeconds = [&](size_t r, int turns) {
        return model.getComputeTime(turn * turns, sharing.ranks[r]);
      };
      double less = times[slowest] - getSeconds(own, sharing.turns[own]) +
                    getSeconds(own, sharing.turns[own] - 1);
      for (size_t r = 0; r < sharing.ranks.size(); ++r) {
        if (r == own || rankLoads[sharing.ranks[r]] + turn > maxLoad)
          continue;
        double more = times[sharing.ranks[r]] -
                      getSeconds(r, sharing.turns[r]) +
                      getSeconds(r, sharing.turns[r] + 1);
        if (std::max(less, more) >= best)
          continue;
        best = std::max(less, more);
        shared = &sharing;
        giver = own;
        taker = r;
        giving = less;
        taking = more;
      }
    }
    if (!shared)
      break;
    --shared->turns[giver];
    ++shared->turns[taker];
    double turn = shared->load / shared->getTotal();
    rankLoads[shared->ranks[giver]] -= turn;
    rankLoads[shared->ranks[taker]] += turn;
    times[shared->ranks[giver]] = giving;
    times[shared->ranks[taker]] = taking;
  }
  LayerPlacement shared;
  for (const Sharing &sharing : sharings)
    shared.push_back(sharing.spread());
  Visits after = countVisits(shared, sample, machine);
  bool faster = model.getTime(shared, loads, after, exchange).getSlowest() <
                time.getSlowest();
  return faster ? shared : equal;
}
