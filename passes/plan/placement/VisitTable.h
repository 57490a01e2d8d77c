//===- VisitTable.h - tokens that visit places, while replicas move ---------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_VISITTABLE_H
#define PASSES_PLAN_PLACEMENT_VISITTABLE_H

#include "llvm/ADT/ArrayRef.h"

#include <cstdint>
#include <vector>

namespace mlir::moe {

/// The replicas that each token of a sample visits.
struct TokenReplicas {
  /// `slots` entries for each token, -1 where it visits fewer replicas.
  int64_t slots = 0;
  std::vector<int> replicas;
  /// The tokens of replica i are `tokens[begin[i]]` to before
  /// `tokens[begin[i + 1]]`.
  std::vector<int> begin, tokens;

  int64_t getNumTokens() const { return slots ? replicas.size() / slots : 0; }
  llvm::ArrayRef<int> getReplicas(int token) const {
    return llvm::ArrayRef(replicas).slice(token * slots, slots);
  }
  llvm::ArrayRef<int> getTokens(int replica) const {
    return llvm::ArrayRef(tokens).slice(begin[replica],
                                        begin[replica + 1] - begin[replica]);
  }
  /// Fills `begin` and `tokens` from `replicas`.
  void index(int numReplicas);
};

/// How many tokens visit each place (a rank or a node), kept up to date while
/// replicas move from place to place.
class VisitTable {
public:
  VisitTable(const TokenReplicas &tokens, std::vector<int> placeOfReplica,
             int numPlaces);

  int getPlace(int replica) const { return place[replica]; }
  int getVisits(int p) const { return visits[p]; }
  int getTotal() const { return total; }
  /// Tokens that would no longer visit the place of `replica` if it left.
  int getLost(int replica) const {
    return tokens.getTokens(replica).size() -
           others[size_t(replica) * numPlaces + place[replica]];
  }
  /// Tokens that would visit `p` only because `replica` came there.
  int getGained(int replica, int p) const {
    return tokens.getTokens(replica).size() -
           others[size_t(replica) * numPlaces + p];
  }
  void move(int replica, int to);

private:
  const TokenReplicas &tokens;
  std::vector<int> place;
  int numPlaces;
  std::vector<int> visits;
  int total = 0;
  /// For each token and place: replicas there that the token visits.
  std::vector<uint16_t> present;
  /// For each replica and place: its tokens that also visit another replica
  /// there.
  std::vector<int> others;
};

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_VISITTABLE_H
