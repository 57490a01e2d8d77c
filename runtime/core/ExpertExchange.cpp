//===- ExpertExchange.cpp - rows on their way to experts and back ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/ExpertExchange.h"

#include <algorithm>
#include <cstring>

using namespace moert;

static constexpr int64_t kIdBytes = sizeof(int32_t);

bool ExpertExchange::check(Status status) {
  if (!status.ok())
    error = status.message();
  return status.ok();
}

/// The number of `algorithm` among the hops.
static size_t getIndex(ExchangeAlgorithm algorithm) {
  return static_cast<size_t>(algorithm);
}

static ExchangeAlgorithm choose(const LayerPlacement &placement,
                                int64_t tokens) {
  for (const ExchangeChoice &choice : placement.exchanges)
    if (tokens <= choice.maxTokens)
      return choice.algorithm;
  return placement.exchanges.back().algorithm;
}

static bool mentions(const LayerPlacement &placement,
                     ExchangeAlgorithm algorithm) {
  for (const ExchangeChoice &choice : placement.exchanges)
    if (choice.algorithm == algorithm)
      return true;
  return false;
}

bool ExpertExchange::dealOut(const LayerPlacement &placement,
                             const int32_t *ids, int64_t stride) {
  own.ids.resize(ownCount * slots);
  own.servers.assign(ownCount * slots, -1);
  turns.assign(placement.experts.size(), 0);
  for (int64_t i = 0; i < ownCount * slots; ++i) {
    int32_t expert = ids[(firstOwn + i / slots) * stride + i % slots];
    own.ids[i] = expert;
    if (expert < 0)
      continue;
    if (static_cast<size_t>(expert) >= placement.experts.size())
      return check(
          Status(MOE_ERROR_RUN, "expected an expert below " +
                                    std::to_string(placement.experts.size()) +
                                    ", got " + std::to_string(expert)));
    const std::vector<int32_t> &list = placement.experts[expert];
    own.servers[i] =
        list[(communicator->getRank() + turns[expert]++) % list.size()];
  }
  return true;
}

void ExpertExchange::fillHop(ExchangeAlgorithm algorithm,
                             ExchangeHop &hop) const {
  int ranks = communicator->getSize(), local = layout.ranksPerNode;
  hop.clear(ranks);
  for (int64_t row = 0; row < ownCount; ++row) {
    if (algorithm == ExchangeAlgorithm::Gather) {
      for (int rank = 0; rank < ranks; ++rank)
        hop.add(rank, row);
      continue;
    }
    for (int64_t slot = 0; slot < slots; ++slot) {
      int server = own.servers[row * slots + slot];
      if (server < 0)
        continue;
      // The rank with the same place in its node takes the row in.
      if (algorithm == ExchangeAlgorithm::TwoLevel)
        server = getNode(server) * local + communicator->getRank() % local;
      hop.add(server, row);
    }
  }
}

bool ExpertExchange::chooseHop(const LayerPlacement &placement) {
  int ranks = communicator->getSize();
  ExchangeHop &gathered = hops[getIndex(ExchangeAlgorithm::Gather)];
  if (!layout.hasOwnTokens) {
    algorithm = choose(placement, tokens);
    ExchangeHop &hop = hops[getIndex(algorithm)];
    fillHop(algorithm, hop);
    if (algorithm != ExchangeAlgorithm::Gather)
      return exchangeCounts(hop);
    for (int rank = 0; rank < ranks; ++rank)
      hop.setReceived(rank, getFirst(rank + 1) - getFirst(rank));
    return true;
  }
  // Nobody knows yet how many tokens there are: ranks tell their tokens and
  // what would come by each way that may be chosen.
  constexpr ExchangeAlgorithm kCounted[] = {ExchangeAlgorithm::Direct,
                                            ExchangeAlgorithm::TwoLevel};
  constexpr size_t kNumbers = 3;
  for (ExchangeAlgorithm candidate : kCounted) {
    ExchangeHop &hop = hops[getIndex(candidate)];
    if (mentions(placement, candidate))
      fillHop(candidate, hop);
    else
      hop.clear(ranks);
  }
  counts.resize(kNumbers * ranks);
  for (int rank = 0; rank < ranks; ++rank) {
    counts[kNumbers * rank] = ownCount;
    for (size_t i = 0; i < 2; ++i)
      counts[kNumbers * rank + 1 + i] =
          hops[getIndex(kCounted[i])].getSent(rank).size();
  }
  if (!check(communicator->exchangeCounts(counts)))
    return false;
  int64_t total = 0;
  for (int rank = 0; rank < ranks; ++rank) {
    total += counts[kNumbers * rank];
    for (size_t i = 0; i < 2; ++i)
      hops[getIndex(kCounted[i])].setReceived(rank,
                                              counts[kNumbers * rank + 1 + i]);
  }
  algorithm = choose(placement, total);
  if (algorithm != ExchangeAlgorithm::Gather)
    return true;
  fillHop(algorithm, gathered);
  for (int rank = 0; rank < ranks; ++rank)
    gathered.setReceived(rank, counts[kNumbers * rank]);
  return true;
}

bool ExpertExchange::exchangeCounts(ExchangeHop &hop) {
  int ranks = communicator->getSize();
  counts.resize(ranks);
  for (int rank = 0; rank < ranks; ++rank)
    counts[rank] = hop.getSent(rank).size();
  if (!check(communicator->exchangeCounts(counts)))
    return false;
  for (int rank = 0; rank < ranks; ++rank)
    hop.setReceived(rank, counts[rank]);
  return true;
}

/// Tells the ranks that let rows into their nodes which rank there serves which
/// slot, and these ranks tell the others how many rows come.
bool ExpertExchange::enterNodes() {
  ExchangeHop &hop = hops[getIndex(ExchangeAlgorithm::TwoLevel)];
  int local = layout.ranksPerNode, ranks = communicator->getSize();
  int node = getNode(communicator->getRank());
  entered.ids.resize(hop.getReceivedRows() * slots);
  entered.servers.resize(entered.ids.size());
  // An expert and the place of its rank in the node, in one number.
  auto pack = [&](char *to, int64_t row, int rank) {
    for (int64_t i = row * slots; i < (row + 1) * slots; ++i) {
      bool isThere =
          own.servers[i] >= 0 && getNode(own.servers[i]) == getNode(rank);
      int32_t number =
          isThere ? own.ids[i] * local + own.servers[i] % local : -1;
      std::memcpy(to, &number, kIdBytes);
      to += kIdBytes;
    }
  };
  auto unpack = [&](const char *from, int64_t row) {
    for (int64_t i = row * slots; i < (row + 1) * slots; ++i) {
      int32_t number;
      std::memcpy(&number, from, kIdBytes);
      from += kIdBytes;
      entered.ids[i] = number < 0 ? -1 : number / local;
      entered.servers[i] = number < 0 ? -1 : node * local + number % local;
    }
  };
  if (!check(hop.forward(*communicator, slots * kIdBytes, pack, unpack)))
    return false;
  withinNode.clear(ranks);
  for (int64_t row = 0; row < hop.getReceivedRows(); ++row)
    for (int64_t i = row * slots; i < (row + 1) * slots; ++i)
      if (entered.servers[i] >= 0)
        withinNode.add(entered.servers[i], row);
  return exchangeCounts(withinNode);
}

bool ExpertExchange::begin(int64_t layer, const int32_t *ids, int64_t stride,
                           int64_t tokenCount, int64_t slotCount,
                           int64_t &count) {
  // What is combined is of this layer.
  background.wait();
  const LayerPlacement &placement = placements[layer];
  tokens = tokenCount;
  slots = slotCount;
  int rank = communicator->getRank();
  firstOwn = layout.hasOwnTokens ? 0 : getFirst(rank);
  ownCount = layout.hasOwnTokens ? tokens : getFirst(rank + 1) - firstOwn;
  if (!dealOut(placement, ids, stride) || !chooseHop(placement))
    return false;
  const ExchangeHop *last = &hops[getIndex(algorithm)];
  if (algorithm == ExchangeAlgorithm::TwoLevel) {
    if (!enterNodes())
      return false;
    last = &withinNode;
  }
  count = last->getReceivedRows();
  return true;
}

bool ExpertExchange::dispatch(const void *x, int64_t stride, int64_t rowBytes,
                              const float *weights, int64_t weightStride,
                              void *rows, int32_t *rowIds, float *rowWeights) {
  // Ranks that have all tokens need not get a row, only its number.
  int64_t weightBytes = slots * sizeof(float);
  int64_t sentBytes = layout.hasOwnTokens ? rowBytes : sizeof(int64_t);
  auto packRow = [&](char *to, int64_t row) {
    int64_t token = firstOwn + row;
    if (layout.hasOwnTokens)
      std::memcpy(to, static_cast<const char *>(x) + token * stride, rowBytes);
    else
      std::memcpy(to, &token, sizeof(token));
    std::memcpy(to + sentBytes, weights + token * weightStride, weightBytes);
  };
  auto packIds = [&](char *to, const Slots &source, int64_t row, int rank) {
    for (int64_t i = row * slots; i < (row + 1) * slots; ++i) {
      int32_t id = source.servers[i] == rank ? source.ids[i] : -1;
      std::memcpy(to, &id, kIdBytes);
      to += kIdBytes;
    }
  };
  auto unpack = [&](const char *from, int64_t n) {
    char *to = static_cast<char *>(rows) + n * rowBytes;
    const char *row = from;
    if (!layout.hasOwnTokens) {
      int64_t token;
      std::memcpy(&token, from, sizeof(token));
      // Another rank must not make this one read elsewhere.
      token = std::clamp<int64_t>(token, 0, tokens - 1);
      row = static_cast<const char *>(x) + token * stride;
    }
    std::memcpy(to, row, rowBytes);
    from += sentBytes;
    std::memcpy(rowWeights + n * slots, from, weightBytes);
    std::memcpy(rowIds + n * slots, from + weightBytes, slots * kIdBytes);
  };
  ExchangeHop &hop = hops[getIndex(algorithm)];
  int64_t headBytes = sentBytes + weightBytes;
  int64_t bytes = headBytes + slots * kIdBytes;
  if (algorithm != ExchangeAlgorithm::TwoLevel) {
    auto pack = [&](char *to, int64_t row, int rank) {
      packRow(to, row);
      packIds(to + headBytes, own, row, rank);
    };
    return check(hop.forward(*communicator, bytes, pack, unpack));
  }
  enteredRows.resize(hop.getReceivedRows() * headBytes);
  auto enter = [&](const char *from, int64_t n) {
    std::memcpy(enteredRows.data() + n * headBytes, from, headBytes);
  };
  auto packHead = [&](char *to, int64_t row, int) { packRow(to, row); };
  auto passOn = [&](char *to, int64_t row, int rank) {
    std::memcpy(to, enteredRows.data() + row * headBytes, headBytes);
    packIds(to + headBytes, entered, row, rank);
  };
  return check(hop.forward(*communicator, headBytes, packHead, enter)) &&
         check(withinNode.forward(*communicator, bytes, passOn, unpack));
}

bool ExpertExchange::checkRows(int64_t stride, int64_t width) {
  if (stride == width)
    return true;
  return check(Status(MOE_ERROR_RUN, "expected rows side by side, got a gap "
                                     "between them"));
}

bool ExpertExchange::combine(const float *newSums, int64_t stride,
                             int64_t newWidth, float *newResult,
                             int64_t resultStride, bool isOverlapped) {
  if (!checkRows(stride, newWidth) || !checkRows(resultStride, newWidth))
    return false;
  sums = newSums;
  result = newResult;
  width = newWidth;
  if (isOverlapped) {
    background.start();
    return true;
  }
  combine();
  return check(combined);
}

bool ExpertExchange::wait() {
  background.wait();
  return check(combined);
}

void ExpertExchange::fail() {
  communicator->abort();
  background.wait();
}

void ExpertExchange::combine() {
  auto addTo = [&](float *table) {
    return [this, table](int64_t row, const float *numbers) {
      float *to = table + row * width;
      for (int64_t i = 0; i < width; ++i)
        to[i] += numbers[i];
    };
  };
  ExchangeHop &hop = hops[getIndex(algorithm)];
  const float *returned = sums;
  if (algorithm == ExchangeAlgorithm::TwoLevel) {
    enteredSums.assign(hop.getReceivedRows() * width, 0.0f);
    combined = withinNode.backward(*communicator, width, sums,
                                   addTo(enteredSums.data()));
    if (!combined.ok())
      return;
    returned = enteredSums.data();
  }
  float *ownResult = result + firstOwn * width;
  std::fill(ownResult, ownResult + ownCount * width, 0.0f);
  combined = hop.backward(*communicator, width, returned, addTo(ownResult));
  if (!combined.ok() || layout.hasOwnTokens)
    return;
  // All ranks go on with all tokens.
  int64_t rowBytes = width * sizeof(float);
  outgoing.resize(communicator->getSize());
  incoming.resize(communicator->getSize());
  for (int rank = 0; rank < communicator->getSize(); ++rank) {
    bool isOwn = rank == communicator->getRank();
    outgoing[rank] = {ownResult, isOwn ? 0 : ownCount * rowBytes};
    int64_t rows = getFirst(rank + 1) - getFirst(rank);
    incoming[rank] = {result + getFirst(rank) * width,
                      isOwn ? 0 : rows * rowBytes};
  }
  combined = communicator->exchange(outgoing, incoming);
}
