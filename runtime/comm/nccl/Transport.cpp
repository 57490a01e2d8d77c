//===- Transport.cpp - messages between GPUs by NCCL -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/Transport.h"
#include "runtime/comm/nccl/Library.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <unistd.h>
#include <vector>

using namespace moert;

namespace {

/// Device memory for the messages of one direction, side by side.
struct Staging {
  cuda::Address memory = 0;
  size_t size = 0;
  std::vector<size_t> offsets;
};

/// One of several ranks, each on a device of its own. Messages come from and go
/// to memory of the host.
class Ranks {
public:
  Status open();
  Status exchange(const void *const *outgoing, const int64_t *outgoingBytes,
                  void *const *incoming, const int64_t *incomingBytes,
                  double timeout);
  void abort();
  void close();

  int rank = 0, size = 1;

private:
  Status check(nccl::Result result, const char *doing) const;
  Status place(const int64_t *bytes, Staging &staging);
  Status post(const int64_t *outgoingBytes, const int64_t *incomingBytes);
  Status wait(double timeout);

  std::atomic<bool> isAborted{false};
  /// The communicator is used by one thread at a time.
  std::mutex calling;
  cuda::Driver driver;
  nccl::Library library;
  cuda::Context context = nullptr;
  cuda::Stream stream = nullptr;
  nccl::Comm comm = nullptr;
  Staging sending, receiving;
};

} // namespace

/// What a launcher says about this process, by the names that Open MPI, others
/// with PMI, Slurm and people use.
static bool readNumber(std::initializer_list<const char *> names, int &result) {
  for (const char *name : names)
    if (const char *text = std::getenv(name)) {
      result = std::atoi(text);
      return true;
    }
  return false;
}

Status Ranks::check(nccl::Result result, const char *doing) const {
  // A communicator that does not block says so while it is busy.
  if (result == nccl::kSuccess || result == nccl::kInProgress)
    return Status();
  return Status(MOE_ERROR_RUN, std::string("NCCL cannot ") + doing + ": " +
                                   library.ncclGetErrorString(result));
}

Status Ranks::open() {
  if (!readNumber(
          {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "SLURM_PROCID", "MOE_RANK"},
          rank) ||
      !readNumber(
          {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_NTASKS", "MOE_RANKS"},
          size))
    return Status(MOE_ERROR_RUN,
                  "expected a launcher such as mpirun, or MOE_RANK and "
                  "MOE_RANKS in the environment");
  if (rank < 0 || rank >= size)
    return Status(MOE_ERROR_RUN, "expected a rank below " +
                                     std::to_string(size) + ", got " +
                                     std::to_string(rank));
  if (!std::getenv("NCCL_COMM_ID"))
    return Status(MOE_ERROR_RUN,
                  "expected NCCL_COMM_ID=HOST:PORT in the environment of all "
                  "ranks, an address of rank 0");
  Status status = nccl::Library::open(library);
  if (status.ok())
    status = cuda::Driver::open(cuda::getDriverPath(), driver);
  if (!status.ok())
    return status;

  int local = rank, devices = 0;
  readNumber({"OMPI_COMM_WORLD_LOCAL_RANK", "MPI_LOCALRANKID", "SLURM_LOCALID"},
             local);
  cuda::DeviceNumber device;
  status = driver.toStatus(driver.cuDeviceGetCount(&devices), "count devices");
  if (status.ok())
    status = driver.toStatus(
        driver.cuDeviceGet(&device, local % std::max(devices, 1)),
        "find a device");
  if (status.ok())
    status = driver.toStatus(driver.cuDevicePrimaryCtxRetain(&context, device),
                             "open a device");
  if (status.ok())
    status = driver.toStatus(driver.cuCtxSetCurrent(context), "use a device");
  if (status.ok())
    status = driver.toStatus(driver.cuStreamCreate(&stream, /*flags=*/1),
                             "create a stream");
  if (!status.ok())
    return status;
  // NCCL_COMM_ID makes the same one for all ranks.
  nccl::UniqueId id;
  status = check(library.ncclGetUniqueId(&id), "find the other ranks");
  if (status.ok())
    status = check(library.ncclCommInitRank(&comm, size, id, rank),
                   "join the other ranks");
  return status;
}

/// Makes room for messages.
Status Ranks::place(const int64_t *bytes, Staging &staging) {
  constexpr size_t kAlignment = 256;
  size_t total = 0;
  staging.offsets.resize(size);
  for (int other = 0; other < size; ++other) {
    staging.offsets[other] = total;
    if (other != rank)
      total += (bytes[other] + kAlignment - 1) / kAlignment * kAlignment;
  }
  if (total <= staging.size)
    return Status();
  // What grows is not asked for at every step.
  total = std::max(total, 2 * staging.size);
  if (staging.size)
    driver.cuMemFree_v2(staging.memory);
  staging.size = 0;
  Status status = driver.toStatus(driver.cuMemAlloc_v2(&staging.memory, total),
                                  "allocate device memory");
  if (status.ok())
    staging.size = total;
  return status;
}

Status Ranks::post(const int64_t *outgoingBytes, const int64_t *incomingBytes) {
  Status status = check(library.ncclGroupStart(), "exchange messages");
  for (int step = 1; step < size && status.ok(); ++step) {
    int to = (rank + step) % size, from = (rank + size - step) % size;
    auto *sent =
        reinterpret_cast<const void *>(sending.memory + sending.offsets[to]);
    auto *received =
        reinterpret_cast<void *>(receiving.memory + receiving.offsets[from]);
    if (outgoingBytes[to])
      status = check(library.ncclSend(sent, outgoingBytes[to], nccl::kInt8, to,
                                      comm, stream),
                     "send");
    if (status.ok() && incomingBytes[from])
      status = check(library.ncclRecv(received, incomingBytes[from],
                                      nccl::kInt8, from, comm, stream),
                     "receive");
  }
  Status ended = check(library.ncclGroupEnd(), "exchange messages");
  return status.ok() ? ended : status;
}

Status Ranks::wait(double timeout) {
  using Clock = std::chrono::steady_clock;
  auto end = Clock::now() + std::chrono::duration<double>(timeout);
  while (true) {
    cuda::Result result = driver.cuStreamQuery(stream);
    if (result != cuda::kErrorNotReady)
      return driver.toStatus(result, "exchange messages");
    nccl::Result state = nccl::kSuccess;
    Status status =
        check(library.ncclCommGetAsyncError(comm, &state), "exchange messages");
    if (status.ok())
      status = check(state, "exchange messages");
    if (status.ok() && isAborted)
      status = Status(MOE_ERROR_RUN, "this rank has failed");
    if (status.ok() && Clock::now() > end)
      status = Status(MOE_ERROR_RUN, "another rank did not answer in time");
    if (!status.ok())
      return status;
    usleep(20);
  }
}

Status Ranks::exchange(const void *const *outgoing,
                       const int64_t *outgoingBytes, void *const *incoming,
                       const int64_t *incomingBytes, double timeout) {
  if (outgoingBytes[rank])
    std::memcpy(incoming[rank], outgoing[rank], outgoingBytes[rank]);
  if (size == 1)
    return Status();
  std::lock_guard<std::mutex> lock(calling);
  if (!comm)
    return Status(MOE_ERROR_RUN, "this rank has failed");
  // Not always the thread of the call before.
  Status status =
      driver.toStatus(driver.cuCtxSetCurrent(context), "use a device");
  if (status.ok())
    status = place(outgoingBytes, sending);
  if (status.ok())
    status = place(incomingBytes, receiving);
  for (int other = 0; other < size && status.ok(); ++other)
    if (other != rank && outgoingBytes[other])
      status =
          driver.toStatus(driver.cuMemcpyHtoDAsync_v2(
                              sending.memory + sending.offsets[other],
                              outgoing[other], outgoingBytes[other], stream),
                          "copy to a device");
  if (status.ok())
    status = post(outgoingBytes, incomingBytes);
  for (int other = 0; other < size && status.ok(); ++other)
    if (other != rank && incomingBytes[other])
      status = driver.toStatus(driver.cuMemcpyDtoHAsync_v2(
                                   incoming[other],
                                   receiving.memory + receiving.offsets[other],
                                   incomingBytes[other], stream),
                               "copy from a device");
  return status.ok() ? wait(timeout) : status;
}

void Ranks::abort() {
  isAborted = true;
  std::lock_guard<std::mutex> lock(calling);
  if (comm)
    library.ncclCommAbort(comm);
  comm = nullptr;
}

void Ranks::close() {
  if (comm)
    library.ncclCommDestroy(comm);
  comm = nullptr;
}

//===----------------------------------------------------------------------===//
// The interface
//===----------------------------------------------------------------------===//

static Ranks ranks;
static std::string message;

static const char *report(const Status &status) {
  if (status.ok())
    return nullptr;
  message = status.message();
  return message.c_str();
}

static const char *open(int32_t *rank, int32_t *size) {
  const char *error = report(ranks.open());
  *rank = ranks.rank;
  *size = ranks.size;
  return error;
}

static const char *exchangeMessages(const void *const *outgoing,
                                    const int64_t *outgoingBytes,
                                    void *const *incoming,
                                    const int64_t *incomingBytes,
                                    double timeout) {
  return report(ranks.exchange(outgoing, outgoingBytes, incoming, incomingBytes,
                               timeout));
}

static const char *exchangeCounts(const int64_t *outgoing, int64_t *incoming,
                                  int32_t count, double timeout) {
  std::vector<const void *> from(ranks.size);
  std::vector<void *> to(ranks.size);
  std::vector<int64_t> bytes(ranks.size, count * sizeof(int64_t));
  for (int other = 0; other < ranks.size; ++other) {
    from[other] = outgoing + other * count;
    to[other] = incoming + other * count;
  }
  return report(ranks.exchange(from.data(), bytes.data(), to.data(),
                               bytes.data(), timeout));
}

static void abortAll() { ranks.abort(); }

static void close() { ranks.close(); }

extern "C" __attribute__((visibility("default"))) const MoertTransport *
moert_transport(void) {
  static const MoertTransport transport = {
      MOERT_TRANSPORT_VERSION, open,     exchangeCounts,
      exchangeMessages,        abortAll, close};
  return &transport;
}
