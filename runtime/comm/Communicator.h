//===- Communicator.h - messages between ranks -----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_COMM_COMMUNICATOR_H
#define RUNTIME_COMM_COMMUNICATOR_H

#include "runtime/format/Status.h"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace moert {

/// One of several ranks that run the same program. All ranks must call the same
/// functions in the same order. A rank that fails calls `abort`; the others get
/// an error then, and also if nothing comes within the time limit.
class Communicator {
public:
  /// What goes to a rank, and room for what comes from one.
  struct Outgoing {
    const void *data;
    int64_t bytes;
  };
  struct Incoming {
    void *data;
    int64_t bytes;
  };

  virtual ~Communicator();

  /// Opens the ranks that a launcher has started, by the transport of this name
  /// ("mpi"): the library libmoert_NAME.so beside this one.
  static Status open(const std::string &transport,
                     std::shared_ptr<Communicator> &result);

  int getRank() const { return rank; }
  int getSize() const { return size; }

  /// Sends a number to each rank, or several: the r-th part of `counts` to rank
  /// r. They become what rank r has sent.
  virtual Status exchangeCounts(std::vector<int64_t> &counts) = 0;

  /// Sends `outgoing[r]` to rank r and receives `incoming[r]`, whose size is
  /// what rank r sends.
  virtual Status exchange(const std::vector<Outgoing> &outgoing,
                          const std::vector<Incoming> &incoming) = 0;

  /// Ends the work of all ranks. May be called more than once, and while
  /// another thread exchanges something, which then fails soon.
  virtual void abort() = 0;

  /// Bytes that `exchange` has sent to other ranks.
  int64_t getBytesSent() const { return bytesSent; }

protected:
  Communicator(int rank, int size) : rank(rank), size(size) {}

  int rank, size;
  int64_t bytesSent = 0;
};

/// Seconds after which a rank that hears nothing gives up: 60, or what the
/// environment variable MOE_RANK_TIMEOUT says.
double getRankTimeout();

} // namespace moert

#endif // RUNTIME_COMM_COMMUNICATOR_H
