//===- ExpertExchange.h - rows on their way to experts and back ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_EXPERTEXCHANGE_H
#define RUNTIME_CORE_EXPERTEXCHANGE_H

#include "runtime/comm/Communicator.h"
#include "runtime/core/Manifest.h"

namespace moert {

/// Carries out the exchanges of a session, one layer at a time; see
/// dialects/moe/ExchangeOps.td. A function that returns false has an error,
/// which `getError` tells.
class ExpertExchange {
public:
  ExpertExchange(std::shared_ptr<Communicator> communicator,
                 const std::vector<LayerPlacement> &placements)
      : communicator(std::move(communicator)), placements(placements) {}

  /// `ids: tokens x slots`, rows `stride` apart. Stores the number of rows that
  /// this rank gets.
  bool begin(int64_t layer, const int32_t *ids, int64_t stride, int64_t tokens,
             int64_t slots, int64_t &count);
  /// `x`: rows of `rowBytes` bytes, `stride` bytes apart; `weights: tokens x
  /// slots`. The outputs have the number of rows that `begin` has stored.
  bool dispatch(const void *x, int64_t stride, int64_t rowBytes,
                const float *weights, int64_t weightStride, void *rows,
                int32_t *ids, float *rowWeights);
  /// `sums`: a row of `width` numbers for each one that was received, `result:
  /// tokens x width`.
  bool combine(const float *sums, int64_t stride, int64_t width, float *result,
               int64_t resultStride);

  /// Ends the work of all ranks.
  void abort() { communicator->abort(); }
  const std::string &getError() const { return error; }

private:
  bool check(Status status);
  bool exchange();
  /// The first token that `rank` owns.
  int64_t getFirst(int64_t rank) const {
    return tokens * rank / communicator->getSize();
  }
  bool checkRows(int64_t stride, int64_t width);

  std::shared_ptr<Communicator> communicator;
  const std::vector<LayerPlacement> &placements;
  std::string error;

  // Of the layer at hand. What grows is kept: after the first runs nothing is
  // allocated.
  int64_t tokens = 0, slots = 0;
  const int32_t *ids = nullptr;
  int64_t idStride = 0;
  /// The rank that serves each slot of the own tokens, or -1.
  std::vector<int32_t> servers;
  /// How often each expert was chosen so far.
  std::vector<int64_t> turns;
  /// The own tokens that go to each rank.
  std::vector<std::vector<int64_t>> sentTokens;
  /// How many rows come from each rank.
  std::vector<int64_t> received;
  std::vector<std::vector<char>> outgoingBytes, incomingBytes;
  std::vector<Communicator::Outgoing> outgoing;
  std::vector<Communicator::Incoming> incoming;
};

} // namespace moert

#endif // RUNTIME_CORE_EXPERTEXCHANGE_H
