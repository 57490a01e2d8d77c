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

bool ExpertExchange::check(Status status) {
  if (!status.ok())
    error = status.message();
  return status.ok();
}

bool ExpertExchange::exchange() {
  return check(communicator->exchange(outgoing, incoming));
}

bool ExpertExchange::begin(int64_t layer, const int32_t *layerIds,
                           int64_t stride, int64_t tokenCount,
                           int64_t slotCount, int64_t &count) {
  const LayerPlacement &placement = placements[layer];
  size_t ranks = communicator->getSize();
  tokens = tokenCount;
  slots = slotCount;
  ids = layerIds;
  idStride = stride;
  int64_t first = getFirst(communicator->getRank());
  int64_t last = getFirst(communicator->getRank() + 1);
  servers.assign((last - first) * slots, -1);
  turns.assign(placement.size(), 0);
  sentTokens.resize(ranks);
  for (std::vector<int64_t> &list : sentTokens)
    list.clear();
  int32_t *server = servers.data();
  for (int64_t token = first; token < last; ++token)
    for (int64_t slot = 0; slot < slots; ++slot, ++server) {
      int32_t expert = ids[token * idStride + slot];
      if (expert < 0)
        continue;
      if (static_cast<size_t>(expert) >= placement.size())
        return check(
            Status(MOE_ERROR_RUN, "expected an expert below " +
                                      std::to_string(placement.size()) +
                                      ", got " + std::to_string(expert)));
      const std::vector<int32_t> &list = placement[expert];
      *server = list[(communicator->getRank() + turns[expert]++) % list.size()];
      std::vector<int64_t> &sent = sentTokens[*server];
      if (sent.empty() || sent.back() != token)
        sent.push_back(token);
    }
  received.resize(ranks);
  for (size_t rank = 0; rank < ranks; ++rank)
    received[rank] = sentTokens[rank].size();
  if (!check(communicator->exchangeCounts(received)))
    return false;
  count = 0;
  for (int64_t rows : received)
    count += rows;
  outgoingBytes.resize(ranks);
  incomingBytes.resize(ranks);
  outgoing.resize(ranks);
  incoming.resize(ranks);
  return true;
}

bool ExpertExchange::dispatch(const void *x, int64_t stride, int64_t rowBytes,
                              const float *weights, int64_t weightStride,
                              void *rows, int32_t *rowIds, float *rowWeights) {
  // A message: for each token its row, its ids and its weights.
  int64_t slotBytes = slots * sizeof(int32_t);
  int64_t size = rowBytes + 2 * slotBytes;
  int64_t first = getFirst(communicator->getRank());
  for (size_t rank = 0; rank < outgoing.size(); ++rank) {
    std::vector<char> &bytes = outgoingBytes[rank];
    bytes.resize(sentTokens[rank].size() * size);
    char *to = bytes.data();
    for (int64_t token : sentTokens[rank]) {
      std::memcpy(to, static_cast<const char *>(x) + token * stride, rowBytes);
      to += rowBytes;
      const int32_t *server = &servers[(token - first) * slots];
      for (int64_t slot = 0; slot < slots; ++slot) {
        bool isServed = server[slot] == static_cast<int32_t>(rank);
        int32_t id = isServed ? ids[token * idStride + slot] : -1;
        std::memcpy(to + slot * sizeof(id), &id, sizeof(id));
      }
      std::memcpy(to + slotBytes, weights + token * weightStride, slotBytes);
      to += 2 * slotBytes;
    }
    outgoing[rank] = {bytes.data(), static_cast<int64_t>(bytes.size())};
    incomingBytes[rank].resize(received[rank] * size);
    incoming[rank] = {incomingBytes[rank].data(), received[rank] * size};
  }
  if (!exchange())
    return false;
  char *row = static_cast<char *>(rows);
  for (size_t rank = 0; rank < incoming.size(); ++rank) {
    const char *from = incomingBytes[rank].data();
    for (int64_t i = 0; i < received[rank]; ++i, from += size) {
      std::memcpy(row, from, rowBytes);
      std::memcpy(rowIds, from + rowBytes, slotBytes);
      std::memcpy(rowWeights, from + rowBytes + slotBytes, slotBytes);
      row += rowBytes;
      rowIds += slots;
      rowWeights += slots;
    }
  }
  return true;
}

bool ExpertExchange::checkRows(int64_t stride, int64_t width) {
  if (stride == width)
    return true;
  return check(Status(MOE_ERROR_RUN, "expected rows side by side, got a gap "
                                     "between them"));
}

bool ExpertExchange::combine(const float *sums, int64_t stride, int64_t width,
                             float *result, int64_t resultStride) {
  if (!checkRows(stride, width) || !checkRows(resultStride, width))
    return false;
  int64_t rowBytes = width * sizeof(float);
  const float *mine = sums;
  for (size_t rank = 0; rank < outgoing.size(); ++rank) {
    outgoing[rank] = {mine, received[rank] * rowBytes};
    mine += received[rank] * width;
    int64_t size = sentTokens[rank].size() * rowBytes;
    incomingBytes[rank].resize(size);
    incoming[rank] = {incomingBytes[rank].data(), size};
  }
  if (!exchange())
    return false;
  int64_t own = communicator->getRank();
  std::fill(result + getFirst(own) * width, result + getFirst(own + 1) * width,
            0.0f);
  for (size_t rank = 0; rank < incoming.size(); ++rank) {
    const float *part =
        reinterpret_cast<const float *>(incomingBytes[rank].data());
    for (int64_t token : sentTokens[rank]) {
      float *row = result + token * width;
      for (int64_t i = 0; i < width; ++i)
        row[i] += *part++;
    }
  }
  // All ranks go on with all tokens.
  for (size_t rank = 0; rank < outgoing.size(); ++rank) {
    bool isOwn = static_cast<int64_t>(rank) == own;
    int64_t ownBytes = (getFirst(own + 1) - getFirst(own)) * rowBytes;
    outgoing[rank] = {result + getFirst(own) * width, isOwn ? 0 : ownBytes};
    int64_t bytes = (getFirst(rank + 1) - getFirst(rank)) * rowBytes;
    incoming[rank] = {result + getFirst(rank) * width, isOwn ? 0 : bytes};
  }
  return exchange();
}
