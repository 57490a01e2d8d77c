//===- Hash.h - the hash of a section -------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_FORMAT_HASH_H
#define RUNTIME_FORMAT_HASH_H

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace moert {

/// XXH3-128 in its canonical byte order.
struct Hash {
  unsigned char bytes[16] = {};

  bool operator==(const Hash &other) const;
  bool operator!=(const Hash &other) const { return !(*this == other); }
  /// 32 hexadecimal digits.
  std::string str() const;
};

/// A section is hashed in chunks, and its hash is the hash of the chunks'
/// hashes, so that several threads can check what they have just read.
constexpr uint64_t kHashChunk = uint64_t(4) << 20;

Hash hashChunk(const void *data, size_t bytes);
Hash hashOfChunks(const std::vector<Hash> &chunks);
Hash hashSection(const void *data, size_t bytes);

/// The hash of a section that comes piece by piece.
class SectionHasher {
public:
  SectionHasher();
  ~SectionHasher();
  void update(const void *data, size_t bytes);
  Hash finish();

private:
  void endChunk();

  struct State;
  std::unique_ptr<State> state;
  uint64_t inChunk = 0;
  std::vector<Hash> chunks;
};

} // namespace moert

#endif // RUNTIME_FORMAT_HASH_H
