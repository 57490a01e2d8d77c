//===- Hash.cpp - the hash of a section -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/format/Hash.h"

#include <algorithm>
#include <cstring>

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace moert;

static Hash toHash(XXH128_hash_t value) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, value);
  Hash hash;
  static_assert(sizeof(canonical.digest) == sizeof(hash.bytes), "128 bits");
  std::memcpy(hash.bytes, canonical.digest, sizeof(hash.bytes));
  return hash;
}

bool Hash::operator==(const Hash &other) const {
  return std::memcmp(bytes, other.bytes, sizeof(bytes)) == 0;
}

std::string Hash::str() const {
  static const char digits[] = "0123456789abcdef";
  std::string text;
  for (unsigned char byte : bytes) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

Hash moert::hashChunk(const void *data, size_t bytes) {
  return toHash(XXH3_128bits(data, bytes));
}

Hash moert::hashOfChunks(const std::vector<Hash> &chunks) {
  return hashChunk(chunks.data(), chunks.size() * sizeof(Hash));
}

Hash moert::hashSection(const void *data, size_t bytes) {
  SectionHasher hasher;
  hasher.update(data, bytes);
  return hasher.finish();
}

struct SectionHasher::State {
  XXH3_state_t xxh;
};

SectionHasher::SectionHasher() : state(new State) {
  XXH3_128bits_reset(&state->xxh);
}

SectionHasher::~SectionHasher() = default;

void SectionHasher::update(const void *data, size_t bytes) {
  const auto *next = static_cast<const unsigned char *>(data);
  while (bytes > 0) {
    size_t piece = std::min<uint64_t>(bytes, kHashChunk - inChunk);
    XXH3_128bits_update(&state->xxh, next, piece);
    inChunk += piece;
    next += piece;
    bytes -= piece;
    if (inChunk == kHashChunk)
      endChunk();
  }
}

void SectionHasher::endChunk() {
  chunks.push_back(toHash(XXH3_128bits_digest(&state->xxh)));
  XXH3_128bits_reset(&state->xxh);
  inChunk = 0;
}

Hash SectionHasher::finish() {
  if (inChunk > 0)
    endChunk();
  return hashOfChunks(chunks);
}
