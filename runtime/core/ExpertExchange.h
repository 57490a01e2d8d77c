//===- ExpertExchange.h - rows on their way to experts and back ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_EXPERTEXCHANGE_H
#define RUNTIME_CORE_EXPERTEXCHANGE_H

#include "runtime/core/BackgroundTask.h"
#include "runtime/core/ExchangeHop.h"
#include "runtime/core/Manifest.h"

namespace moert {

/// Carries out the exchanges of a session, one layer at a time; see
/// dialects/moe/ExchangeOps.td and docs/placement.md. A function that returns
/// false has an error, which `getError` tells.
///
/// A row goes to the ranks of its experts in one hop, or in two: to one rank of
/// each node and on from there. Sums come back the same way; each stop adds up
/// what it has sent out, in rising order of ranks.
class ExpertExchange {
public:
  ExpertExchange(std::shared_ptr<Communicator> communicator,
                 const RankLayout &layout,
                 const std::vector<LayerPlacement> &placements)
      : communicator(std::move(communicator)), layout(layout),
        placements(placements), background([this] { combine(); }) {}

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
  /// tokens x width`. Overlapped, it returns at once: `wait` says when `sums`
  /// is free and `result` is written.
  bool combine(const float *sums, int64_t stride, int64_t width, float *result,
               int64_t resultStride, bool isOverlapped);
  bool wait();

  /// Ends the work of all ranks; nothing is written to memory of the run any
  /// more when it returns.
  void fail();
  const std::string &getError() const { return error; }

private:
  /// Rows with the experts that their slots have chosen, and the ranks that
  /// serve these; -1 for none.
  struct Slots {
    std::vector<int32_t> ids, servers;
  };

  bool check(Status status);
  void combine();
  /// The first token that `rank` owns, where all ranks have all tokens.
  int64_t getFirst(int64_t rank) const {
    return tokens * rank / communicator->getSize();
  }
  int getNode(int rank) const { return rank / layout.ranksPerNode; }
  bool dealOut(const LayerPlacement &placement, const int32_t *ids,
               int64_t stride);
  void fillHop(ExchangeAlgorithm algorithm, ExchangeHop &hop) const;
  bool chooseHop(const LayerPlacement &placement);
  bool enterNodes();
  bool exchangeCounts(ExchangeHop &hop);
  bool checkRows(int64_t stride, int64_t width);

  std::shared_ptr<Communicator> communicator;
  const RankLayout &layout;
  const std::vector<LayerPlacement> &placements;
  std::string error;

  // Of the layer at hand. What grows is kept: after the first runs nothing is
  // allocated.
  int64_t tokens = 0, slots = 0;
  /// The tokens that this rank sends out.
  int64_t firstOwn = 0, ownCount = 0;
  ExchangeAlgorithm algorithm = ExchangeAlgorithm::Direct;
  /// Of the own tokens, and of those that have entered this node here.
  Slots own, entered;
  /// How often each expert was chosen so far.
  std::vector<int64_t> turns;
  std::vector<int64_t> counts;
  /// One for each algorithm, and the way within a node.
  ExchangeHop hops[3], withinNode;
  std::vector<char> enteredRows;
  std::vector<float> enteredSums;
  std::vector<Communicator::Outgoing> outgoing;
  std::vector<Communicator::Incoming> incoming;

  // What the background is to combine.
  const float *sums = nullptr;
  float *result = nullptr;
  int64_t width = 0;
  Status combined;
  BackgroundTask background;
};

} // namespace moert

#endif // RUNTIME_CORE_EXPERTEXCHANGE_H
