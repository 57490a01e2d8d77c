//===- PluginCommunicator.cpp - ranks that a launcher has started ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/Communicator.h"
#include "runtime/comm/Transport.h"

#include <dlfcn.h>

using namespace moert;

namespace {

class PluginCommunicator : public Communicator {
public:
  PluginCommunicator(const MoertTransport &transport, int rank, int size)
      : Communicator(rank, size), transport(transport), sizesOut(size),
        sizesIn(size), out(size), in(size) {}
  ~PluginCommunicator() override { transport.close(); }

  Status exchangeCounts(std::vector<int64_t> &counts) override {
    received.resize(counts.size());
    const char *error = transport.exchange_counts(
        counts.data(), received.data(), counts.size() / size, getRankTimeout());
    counts = received;
    return toStatus(error);
  }

  Status exchange(const std::vector<Outgoing> &outgoing,
                  const std::vector<Incoming> &incoming) override {
    for (int other = 0; other < size; ++other) {
      out[other] = outgoing[other].data;
      sizesOut[other] = outgoing[other].bytes;
      in[other] = incoming[other].data;
      sizesIn[other] = incoming[other].bytes;
      if (other != rank)
        bytesSent += outgoing[other].bytes;
    }
    return toStatus(transport.exchange(out.data(), sizesOut.data(), in.data(),
                                       sizesIn.data(), getRankTimeout()));
  }

  void abort() override { transport.abort(); }

private:
  static Status toStatus(const char *error) {
    return error ? Status(MOE_ERROR_RUN, error) : Status();
  }

  const MoertTransport &transport;
  std::vector<int64_t> received, sizesOut, sizesIn;
  std::vector<const void *> out;
  std::vector<void *> in;
};

} // namespace

/// The folder of the library, or program, that this code is in.
static std::string getOwnFolder() {
  Dl_info info;
  if (!dladdr(reinterpret_cast<void *>(&getRankTimeout), &info) ||
      !info.dli_fname)
    return "";
  std::string path = info.dli_fname;
  size_t slash = path.rfind('/');
  return slash == std::string::npos ? "" : path.substr(0, slash + 1);
}

Status Communicator::open(const std::string &name,
                          std::shared_ptr<Communicator> &result) {
  std::string path = getOwnFolder() + "libmoert_" + name + ".so";
  // It stays: what it links cannot be unloaded.
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!library)
    return Status(MOE_ERROR_UNSUPPORTED,
                  "cannot load the transport '" + name + "': " + dlerror());
  auto getTransport = reinterpret_cast<const MoertTransport *(*)()>(
      dlsym(library, "moert_transport"));
  const MoertTransport *transport = getTransport ? getTransport() : nullptr;
  if (!transport || transport->version != MOERT_TRANSPORT_VERSION)
    return Status(MOE_ERROR_UNSUPPORTED,
                  "'" + path + "' is no transport of version " +
                      std::to_string(MOERT_TRANSPORT_VERSION));
  int32_t rank, size;
  if (const char *error = transport->open(&rank, &size))
    return Status(MOE_ERROR_RUN, error);
  result = std::make_shared<PluginCommunicator>(*transport, rank, size);
  return Status();
}
