//===- VisitTable.cpp - tokens that visit places, while replicas move -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/VisitTable.h"

using namespace mlir::moe;

void TokenReplicas::index(int numReplicas) {
  begin.assign(numReplicas + 1, 0);
  for (int replica : replicas)
    if (replica >= 0)
      ++begin[replica + 1];
  for (int i = 0; i < numReplicas; ++i)
    begin[i + 1] += begin[i];
  tokens.resize(begin.back());
  std::vector<int> next(begin.begin(), begin.end() - 1);
  for (size_t i = 0; i < replicas.size(); ++i)
    if (replicas[i] >= 0)
      tokens[next[replicas[i]]++] = i / slots;
}

VisitTable::VisitTable(const TokenReplicas &tokens,
                       std::vector<int> placeOfReplica, int numPlaces)
    : tokens(tokens), place(std::move(placeOfReplica)), numPlaces(numPlaces),
      visits(numPlaces), present(tokens.getNumTokens() * numPlaces),
      others(place.size() * numPlaces) {
  for (int64_t t = 0; t < tokens.getNumTokens(); ++t) {
    uint16_t *counts = &present[t * numPlaces];
    for (int replica : tokens.getReplicas(t))
      if (replica >= 0 && ++counts[place[replica]] == 1) {
        ++visits[place[replica]];
        ++total;
      }
    for (int replica : tokens.getReplicas(t)) {
      if (replica < 0)
        continue;
      // Places of the other replicas, each once.
      llvm::ArrayRef<int> all = tokens.getReplicas(t);
      for (size_t i = 0; i < all.size(); ++i) {
        if (all[i] < 0 || all[i] == replica)
          continue;
        bool seen = false;
        for (int earlier : all.take_front(i))
          seen |= earlier >= 0 && earlier != replica &&
                  place[earlier] == place[all[i]];
        if (!seen)
          ++others[size_t(replica) * numPlaces + place[all[i]]];
      }
    }
  }
}

void VisitTable::move(int replica, int to) {
  int from = place[replica];
  if (from == to)
    return;
  for (int t : tokens.getTokens(replica)) {
    uint16_t *counts = &present[size_t(t) * numPlaces];
    int left = --counts[from], now = ++counts[to];
    visits[from] -= left == 0;
    visits[to] += now == 1;
    total += (now == 1) - (left == 0);
    for (int other : tokens.getReplicas(t)) {
      if (other < 0 || other == replica)
        continue;
      int *row = &others[size_t(other) * numPlaces];
      row[from] -= left == (place[other] == from);
      row[to] += now - (place[other] == to) == 1;
    }
  }
  place[replica] = to;
}
