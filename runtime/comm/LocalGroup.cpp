//===- LocalGroup.cpp - ranks that are threads of one process --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/LocalGroup.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>

using namespace moert;

namespace {

/// What all ranks see.
struct Board {
  explicit Board(int ranks) : counts(ranks), outgoing(ranks) {}

  /// Waits until all ranks are here.
  Status meet() {
    std::unique_lock<std::mutex> lock(mutex);
    uint64_t round = meetings;
    if (++present == counts.size()) {
      present = 0;
      ++meetings;
      changed.notify_all();
    }
    auto limit = std::chrono::duration<double>(getRankTimeout());
    bool inTime = changed.wait_for(
        lock, limit, [&] { return aborted || meetings != round; });
    if (meetings != round)
      return Status();
    aborted = true;
    changed.notify_all();
    return Status(MOE_ERROR_RUN, inTime
                                     ? "another rank has failed"
                                     : "another rank did not answer in time");
  }

  void abort() {
    std::lock_guard<std::mutex> lock(mutex);
    aborted = true;
    changed.notify_all();
  }

  std::mutex mutex;
  std::condition_variable changed;
  size_t present = 0;
  uint64_t meetings = 0;
  bool aborted = false;
  // By rank: what it has put up.
  std::vector<const std::vector<int64_t> *> counts;
  std::vector<const std::vector<Communicator::Outgoing> *> outgoing;
};

class LocalCommunicator : public Communicator {
public:
  LocalCommunicator(std::shared_ptr<Board> board, int rank, int size)
      : Communicator(rank, size), board(std::move(board)) {}

  Status exchangeCounts(std::vector<int64_t> &counts) override {
    board->counts[rank] = &counts;
    Status status = board->meet();
    if (!status.ok())
      return status;
    size_t each = counts.size() / size;
    received.resize(counts.size());
    for (int sender = 0; sender < size; ++sender)
      std::copy_n(board->counts[sender]->begin() + rank * each, each,
                  received.begin() + sender * each);
    // Nobody changes what another one may still read.
    status = board->meet();
    counts = received;
    return status;
  }

  Status exchange(const std::vector<Outgoing> &outgoing,
                  const std::vector<Incoming> &incoming) override {
    board->outgoing[rank] = &outgoing;
    Status status = board->meet();
    if (!status.ok())
      return status;
    for (int sender = 0; sender < size; ++sender) {
      const Outgoing &from = (*board->outgoing[sender])[rank];
      if (from.bytes != incoming[sender].bytes)
        status = Status(MOE_ERROR_RUN,
                        "expected " + std::to_string(incoming[sender].bytes) +
                            " bytes from rank " + std::to_string(sender) +
                            ", got " + std::to_string(from.bytes));
      else if (from.bytes)
        std::memcpy(incoming[sender].data, from.data, from.bytes);
      if (sender != rank)
        bytesSent += outgoing[sender].bytes;
    }
    Status met = board->meet();
    return status.ok() ? met : status;
  }

  void abort() override { board->abort(); }

private:
  std::shared_ptr<Board> board;
  std::vector<int64_t> received;
};

} // namespace

std::vector<std::shared_ptr<Communicator>> moert::makeLocalGroup(int ranks) {
  auto board = std::make_shared<Board>(ranks);
  std::vector<std::shared_ptr<Communicator>> group;
  for (int rank = 0; rank < ranks; ++rank)
    group.push_back(std::make_shared<LocalCommunicator>(board, rank, ranks));
  return group;
}
