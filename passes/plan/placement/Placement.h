//===- Placement.h - where the experts of a layer live ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_PLACEMENT_H
#define PASSES_PLAN_PLACEMENT_PLACEMENT_H

#include "passes/plan/placement/RoutingTrace.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <algorithm>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

namespace mlir::moe {

/// The ranks of one expert. Assignments take turns through the list: the j-th
/// one (from 0) that rank r sends to the expert goes to `ranks[(r + j) %
/// size]`. A rank that is listed twice has a double share.
using Turns = llvm::SmallVector<int, 2>;

/// For each expert of a layer its ranks.
using LayerPlacement = std::vector<Turns>;

/// How rows travel between the ranks of a layer.
enum class Exchange {
  /// Every rank gets the rows of all ranks; sums are scattered back.
  Gather,
  /// Each row goes once to each rank that holds an expert of it.
  Direct,
  /// Each row goes once to each such node and is passed on within it.
  TwoLevel
};

llvm::StringRef getExchangeName(Exchange exchange);
std::optional<Exchange> parseExchange(llvm::StringRef name);

/// The exchange of all steps of at most `maxTokens` tokens over all ranks that
/// no earlier choice covers.
struct ExchangeChoice {
  static constexpr int64_t kUnbounded = std::numeric_limits<int64_t>::max();
  int64_t maxTokens = kUnbounded;
  Exchange exchange = Exchange::Direct;
};

/// The choice for a step of `tokens` tokens.
Exchange getExchange(llvm::ArrayRef<ExchangeChoice> choices, int64_t tokens);

/// The rank that the first token of rank r of `ranks` has, where `tokens`
/// tokens are spread evenly: rank r owns the tokens from `getFirstToken(r)` to
/// before `getFirstToken(r + 1)`.
inline int64_t getFirstToken(int rank, int ranks, int64_t tokens) {
  return tokens * rank / ranks;
}

/// One copy of an expert on a rank.
struct Replica {
  int expert, rank;
};

/// Every pair of an expert and a rank that holds it, once, by expert.
std::vector<Replica> getReplicas(const LayerPlacement &placement);

/// Equal shares for all replicas.
LayerPlacement makePlacement(llvm::ArrayRef<Replica> replicas, int experts);

/// The assignments per token that each rank serves.
std::vector<double> getRankLoads(const LayerPlacement &placement,
                                 llvm::ArrayRef<double> expertLoads, int ranks);

/// Spreads the tokens of `step` evenly over `ranks` ranks and deals their
/// assignments out: calls `body` with the rank that a token is on, its number,
/// the expert, and the turn of it, which counts on from that rank.
template <typename Body>
void dealOut(const LayerTrace &step, int ranks, int64_t experts, Body body) {
  std::vector<int> turn(experts);
  for (int source = 0; source < ranks; ++source) {
    int64_t begin = getFirstToken(source, ranks, step.getTokens());
    int64_t end = getFirstToken(source + 1, ranks, step.getTokens());
    if (begin < end)
      std::fill(turn.begin(), turn.end(), source);
    for (int64_t token = begin; token < end; ++token)
      for (int32_t id : step.getToken(token))
        if (id >= 0)
          body(source, token, id, turn[id]++);
  }
}

/// The assignments of `trace` that each of `ranks` ranks serves, where tokens
/// come in steps of `tokens` that are spread evenly over them.
std::vector<int64_t> countAssignments(const LayerPlacement &placement,
                                      const LayerTrace &trace, int ranks,
                                      int64_t tokens);

/// (max - mean) / mean; 0 where the mean is.
double getImbalance(llvm::ArrayRef<double> loads);

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_PLACEMENT_H
