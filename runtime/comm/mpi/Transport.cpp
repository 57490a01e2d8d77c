//===- Transport.cpp - messages by MPI -------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/Transport.h"

#include <mpi.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string>
#include <unistd.h>
#include <vector>

/// Messages are sent in pieces: MPI counts bytes with an int.
static constexpr int64_t kPiece = int64_t(1) << 30;
static constexpr int kTag = 1;

static std::string message;
static int ownRank = 0, rankCount = 1;
static std::atomic<bool> isAborted{false};
/// MPI is called by one thread at a time.
static std::mutex calling;
static std::vector<MPI_Request> requests;

static const char *report(int code, const char *what) {
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  message = std::string("MPI cannot ") + what + ": " +
            std::string(text, static_cast<size_t>(length));
  return message.c_str();
}

/// Waits for all requests, not longer than `timeout` seconds.
static const char *finish(double timeout) {
  double end = MPI_Wtime() + timeout;
  for (int done = 0;;) {
    int code = MPI_Testall(static_cast<int>(requests.size()), requests.data(),
                           &done, MPI_STATUSES_IGNORE);
    if (code != MPI_SUCCESS)
      return report(code, "exchange messages");
    if (done)
      break;
    if (isAborted) {
      message = "this rank has failed";
      return message.c_str();
    }
    if (MPI_Wtime() > end) {
      message = "another rank did not answer in time";
      return message.c_str();
    }
    // There may be more ranks than processors.
    usleep(20);
  }
  requests.clear();
  return nullptr;
}

static const char *open(int32_t *rank, int32_t *size) {
  int isInitialized = 0, provided = 0;
  MPI_Initialized(&isInitialized);
  if (!isInitialized)
    if (int code =
            MPI_Init_thread(nullptr, nullptr, MPI_THREAD_SERIALIZED, &provided);
        code != MPI_SUCCESS)
      return report(code, "start");
  MPI_Query_thread(&provided);
  if (provided < MPI_THREAD_SERIALIZED) {
    message = "expected an MPI that more than one thread may call";
    return message.c_str();
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  MPI_Comm_rank(MPI_COMM_WORLD, &ownRank);
  MPI_Comm_size(MPI_COMM_WORLD, &rankCount);
  *rank = ownRank;
  *size = rankCount;
  return nullptr;
}

static const char *exchangeMessages(const void *const *outgoing,
                                    const int64_t *outgoingBytes,
                                    void *const *incoming,
                                    const int64_t *incomingBytes,
                                    double timeout) {
  std::lock_guard<std::mutex> lock(calling);
  // Each transfer is in pieces that arrive in order.
  auto forEachPiece = [](int64_t bytes, auto transfer) {
    int code = MPI_SUCCESS;
    for (int64_t done = 0; done < bytes && code == MPI_SUCCESS;
         done += kPiece) {
      requests.emplace_back();
      code = transfer(done, static_cast<int>(std::min(kPiece, bytes - done)),
                      &requests.back());
    }
    return code;
  };
  for (int other = 0; other < rankCount; ++other) {
    if (other == ownRank)
      continue;
    char *to = static_cast<char *>(incoming[other]);
    int code = forEachPiece(incomingBytes[other],
                            [&](int64_t at, int size, MPI_Request *request) {
                              return MPI_Irecv(to + at, size, MPI_BYTE, other,
                                               kTag, MPI_COMM_WORLD, request);
                            });
    if (code != MPI_SUCCESS)
      return report(code, "receive");
  }
  for (int step = 1; step < rankCount; ++step) {
    int other = (ownRank + step) % rankCount;
    const char *from = static_cast<const char *>(outgoing[other]);
    int code = forEachPiece(outgoingBytes[other],
                            [&](int64_t at, int size, MPI_Request *request) {
                              return MPI_Isend(from + at, size, MPI_BYTE, other,
                                               kTag, MPI_COMM_WORLD, request);
                            });
    if (code != MPI_SUCCESS)
      return report(code, "send");
  }
  if (outgoingBytes[ownRank])
    std::memcpy(incoming[ownRank], outgoing[ownRank], outgoingBytes[ownRank]);
  return finish(timeout);
}

static const char *exchangeCounts(const int64_t *outgoing, int64_t *incoming,
                                  int32_t count, double timeout) {
  std::lock_guard<std::mutex> lock(calling);
  requests.emplace_back();
  int code = MPI_Ialltoall(outgoing, count, MPI_INT64_T, incoming, count,
                           MPI_INT64_T, MPI_COMM_WORLD, &requests.back());
  if (code != MPI_SUCCESS)
    return report(code, "exchange counts");
  return finish(timeout);
}

static void abortAll() {
  if (isAborted.exchange(true))
    return;
  std::lock_guard<std::mutex> lock(calling);
  MPI_Abort(MPI_COMM_WORLD, 1);
}

static void close() {
  int isFinalized = 0;
  MPI_Finalized(&isFinalized);
  if (!isAborted && !isFinalized)
    MPI_Finalize();
}

extern "C" __attribute__((visibility("default"))) const MoertTransport *
moert_transport(void) {
  static const MoertTransport transport = {
      MOERT_TRANSPORT_VERSION, open,     exchangeCounts,
      exchangeMessages,        abortAll, close};
  return &transport;
}
