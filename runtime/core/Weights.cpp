//===- Weights.cpp - the weights of a program in memory -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/Weights.h"

#include "runtime/device/cpu/HugePages.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <sys/mman.h>
#include <thread>

using namespace moert;

/// More threads than this do not read a file faster.
static constexpr unsigned kMaxReaders = 8;

Weights::~Weights() {
  if (memory)
    unmapMemory(memory, bytes);
}

Status Weights::load(const Reader &reader, const Section &section,
                     moe_weights_mode_t mode, bool verify,
                     const std::vector<Range> &unneeded) {
  if (section.bytes == 0)
    return verify ? reader.verify(section) : Status();
  bytes = section.bytes;
  return mode == MOE_WEIGHTS_MAP ? map(reader, section, verify)
                                 : read(reader, section, verify, unneeded);
}

Status Weights::map(const Reader &reader, const Section &section, bool verify) {
  void *mapping = mmap(nullptr, bytes, PROT_READ, MAP_SHARED,
                       reader.getDescriptor(), section.offset);
  if (mapping == MAP_FAILED)
    return systemError("map", reader.getPath());
  memory = mapping;
  if (verify && hashSection(memory, bytes) != section.hash)
    return reader.hashMismatch(section);
  return Status();
}

/// Whether all bytes of a chunk lie in one of `ranges`.
static bool isUnneeded(const std::vector<Weights::Range> &ranges,
                       uint64_t begin, uint64_t end) {
  auto next = std::upper_bound(
      ranges.begin(), ranges.end(), begin,
      [](uint64_t place, const Weights::Range &r) { return place < r.begin; });
  return next != ranges.begin() && end <= std::prev(next)->end;
}

Status Weights::read(const Reader &reader, const Section &section, bool verify,
                     const std::vector<Range> &unneeded) {
  memory = mapHugePages(bytes);
  if (!memory)
    return Status(MOE_ERROR_OUT_OF_MEMORY, "cannot allocate " +
                                               std::to_string(bytes) +
                                               " bytes for the weights");
  uint64_t chunkCount = (bytes + kHashChunk - 1) / kHashChunk;
  std::vector<Hash> hashes(verify ? chunkCount : 0);
  std::atomic<uint64_t> next{0};
  std::mutex mutex;
  Status firstError;
  auto readChunks = [&] {
    std::vector<char> scratch;
    for (uint64_t chunk; (chunk = next.fetch_add(1)) < chunkCount;) {
      uint64_t begin = chunk * kHashChunk;
      uint64_t size = std::min(kHashChunk, bytes - begin);
      char *target = static_cast<char *>(memory) + begin;
      if (isUnneeded(unneeded, begin, begin + size)) {
        if (!verify)
          continue;
        scratch.resize(kHashChunk);
        target = scratch.data();
      }
      Status status = reader.readAt(section.offset + begin, target, size);
      if (!status.ok()) {
        std::lock_guard<std::mutex> lock(mutex);
        firstError = status;
        return;
      }
      // The bytes are still in the cache of this core.
      if (verify)
        hashes[chunk] = hashChunk(target, size);
    }
  };
  std::vector<std::thread> helpers;
  uint64_t readers = std::min<uint64_t>(
      {kMaxReaders, std::max(1u, std::thread::hardware_concurrency()),
       chunkCount});
  for (uint64_t i = 1; i < readers; ++i)
    helpers.emplace_back(readChunks);
  readChunks();
  for (std::thread &helper : helpers)
    helper.join();
  if (!firstError.ok())
    return firstError;
  if (verify && hashOfChunks(hashes) != section.hash)
    return reader.hashMismatch(section);
  mprotect(memory, bytes, PROT_READ);
  return Status();
}
