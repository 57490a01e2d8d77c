//===- ExchangeHop.cpp - rows that go from rank to rank, and back ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/ExchangeHop.h"

#include <numeric>

using namespace moert;

void ExchangeHop::clear(size_t ranks) {
  sent.resize(ranks);
  for (std::vector<int64_t> &rows : sent)
    rows.clear();
  received.assign(ranks, 0);
  outgoingBytes.resize(ranks);
  incomingBytes.resize(ranks);
  outgoing.resize(ranks);
  incoming.resize(ranks);
}

void ExchangeHop::add(size_t rank, int64_t row) {
  if (sent[rank].empty() || sent[rank].back() != row)
    sent[rank].push_back(row);
}

int64_t ExchangeHop::getReceivedRows() const {
  return std::accumulate(received.begin(), received.end(), int64_t(0));
}
