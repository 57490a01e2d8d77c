//===- StandInNccl.cpp - NCCL for ranks on emulated devices ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Exports what libmoert_nccl.so uses of NCCL, for processes of one machine that
// sockets connect. Messages travel when a group ends, after all that is queued
// on the stream; addresses must be those of device memory.
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/nccl/Library.h"

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

using namespace moert;
using nccl::Result;
using nccl::UniqueId;

namespace {
enum : Result { kSystemError = 2, kInvalidArgument = 4, kRemoteError = 6 };

struct Transfer {
  bool isSend;
  int peer;
  unsigned long long device;
  std::vector<char> bytes;
  size_t done = 0;
};
} // namespace

struct moert::nccl::ncclComm {
  int rank = 0, size = 0;
  /// By rank.
  std::vector<int> sockets;
  cuda::Driver driver;
  cuda::Stream stream = nullptr;
};

static std::vector<Transfer> group;
static nccl::Comm groupComm = nullptr;
static bool isInGroup = false;

static sockaddr_un getAddress(const UniqueId &id, int rank) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  // An abstract name, which goes with the process.
  snprintf(address.sun_path + 1, sizeof(address.sun_path) - 1,
           "stand-in-nccl-%.60s-%d", id.internal, rank);
  return address;
}

static int connectTo(const UniqueId &id, int peer, int rank) {
  sockaddr_un address = getAddress(id, peer);
  for (int tries = 0; tries < 3000; ++tries, usleep(10000)) {
    int handle = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(handle, reinterpret_cast<sockaddr *>(&address),
                sizeof(address)) == 0 &&
        write(handle, &rank, sizeof(rank)) == sizeof(rank))
      return handle;
    ::close(handle);
  }
  return -1;
}

#define API extern "C" __attribute__((visibility("default")))

API Result ncclGetUniqueId(UniqueId *id) {
  const char *address = std::getenv("NCCL_COMM_ID");
  if (!address)
    return kInvalidArgument;
  std::strncpy(id->internal, address, sizeof(id->internal) - 1);
  return nccl::kSuccess;
}

API Result ncclCommInitRank(nccl::Comm *result, int size, UniqueId id,
                            int rank) {
  auto *comm = new nccl::ncclComm;
  comm->rank = rank;
  comm->size = size;
  comm->sockets.assign(size, -1);
  if (!cuda::Driver::open(cuda::getDriverPath(), comm->driver).ok())
    return kSystemError;
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un own = getAddress(id, rank);
  if (bind(listener, reinterpret_cast<sockaddr *>(&own), sizeof(own)) != 0 ||
      listen(listener, size) != 0)
    return kSystemError;
  for (int peer = 0; peer < rank; ++peer)
    if ((comm->sockets[peer] = connectTo(id, peer, rank)) < 0)
      return kRemoteError;
  for (int i = rank + 1; i < size; ++i) {
    int handle = accept(listener, nullptr, nullptr), peer = -1;
    if (handle < 0 || read(handle, &peer, sizeof(peer)) != sizeof(peer) ||
        peer <= rank || peer >= size)
      return kRemoteError;
    comm->sockets[peer] = handle;
  }
  ::close(listener);
  for (int handle : comm->sockets)
    if (handle >= 0)
      fcntl(handle, F_SETFL, O_NONBLOCK);
  *result = comm;
  return nccl::kSuccess;
}

API Result ncclCommDestroy(nccl::Comm comm) {
  for (int handle : comm->sockets)
    if (handle >= 0)
      ::close(handle);
  delete comm;
  return nccl::kSuccess;
}

API Result ncclCommAbort(nccl::Comm comm) { return ncclCommDestroy(comm); }

API Result ncclCommGetAsyncError(nccl::Comm, Result *state) {
  *state = nccl::kSuccess;
  return nccl::kSuccess;
}

API Result ncclGroupStart() {
  isInGroup = true;
  return nccl::kSuccess;
}

static Result add(bool isSend, unsigned long long device, size_t count,
                  int type, int peer, nccl::Comm comm, cuda::Stream stream) {
  if (!isInGroup || type != nccl::kInt8 || peer < 0 || peer >= comm->size ||
      peer == comm->rank)
    return kInvalidArgument;
  group.push_back({isSend, peer, device, std::vector<char>(count)});
  comm->stream = stream;
  groupComm = comm;
  return nccl::kSuccess;
}

API Result ncclSend(const void *buffer, size_t count, int type, int peer,
                    nccl::Comm comm, cuda::Stream stream) {
  return add(true, reinterpret_cast<unsigned long long>(buffer), count, type,
             peer, comm, stream);
}

API Result ncclRecv(void *buffer, size_t count, int type, int peer,
                    nccl::Comm comm, cuda::Stream stream) {
  return add(false, reinterpret_cast<unsigned long long>(buffer), count, type,
             peer, comm, stream);
}

/// Moves what can be moved now. False if the peer has gone.
static bool advance(Transfer &transfer, int handle) {
  char *at = transfer.bytes.data() + transfer.done;
  size_t left = transfer.bytes.size() - transfer.done;
  ssize_t moved = transfer.isSend ? send(handle, at, left, MSG_NOSIGNAL)
                                  : recv(handle, at, left, 0);
  if (moved > 0)
    transfer.done += moved;
  return moved > 0 || (moved < 0 && errno == EAGAIN);
}

API Result ncclGroupEnd() {
  std::vector<Transfer> transfers = std::move(group);
  group.clear();
  isInGroup = false;
  if (transfers.empty())
    return nccl::kSuccess;
  nccl::Comm comm = groupComm;
  cuda::Driver &driver = comm->driver;
  for (Transfer &transfer : transfers)
    if (transfer.isSend &&
        driver.cuMemcpyDtoHAsync_v2(transfer.bytes.data(), transfer.device,
                                    transfer.bytes.size(), comm->stream))
      return kSystemError;
  if (driver.cuStreamSynchronize(comm->stream))
    return kSystemError;
  while (true) {
    std::vector<pollfd> waiting;
    std::vector<Transfer *> owners;
    for (Transfer &transfer : transfers)
      if (transfer.done < transfer.bytes.size()) {
        waiting.push_back({comm->sockets[transfer.peer],
                           short(transfer.isSend ? POLLOUT : POLLIN), 0});
        owners.push_back(&transfer);
      }
    if (waiting.empty())
      break;
    poll(waiting.data(), waiting.size(), -1);
    for (size_t i = 0; i < waiting.size(); ++i)
      if (waiting[i].revents && !advance(*owners[i], waiting[i].fd))
        return kRemoteError;
  }
  for (Transfer &transfer : transfers)
    if (!transfer.isSend &&
        driver.cuMemcpyHtoDAsync_v2(transfer.device, transfer.bytes.data(),
                                    transfer.bytes.size(), comm->stream))
      return kSystemError;
  return driver.cuStreamSynchronize(comm->stream) ? kSystemError
                                                  : nccl::kSuccess;
}

API const char *ncclGetErrorString(Result result) {
  return result == kRemoteError ? "remote process exited" : "internal error";
}
