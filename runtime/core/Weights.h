//===- Weights.h - the weights of a program in memory ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_WEIGHTS_H
#define RUNTIME_CORE_WEIGHTS_H

#include "runtime/format/Reader.h"

namespace moert {

/// The weights section of an artifact, read-only.
class Weights {
public:
  Weights() = default;
  ~Weights();
  Weights(const Weights &) = delete;
  Weights &operator=(const Weights &) = delete;

  /// Bytes of the section from `begin` to before `end`.
  struct Range {
    uint64_t begin, end;
  };

  /// `unneeded`, in rising order, is read to be verified at most, and takes no
  /// memory beyond the pages and chunks that it shares with other bytes.
  Status load(const Reader &reader, const Section &section,
              moe_weights_mode_t mode, bool verify,
              const std::vector<Range> &unneeded = {});

  const unsigned char *getData() const {
    return static_cast<const unsigned char *>(memory);
  }
  uint64_t getBytes() const { return bytes; }

private:
  Status read(const Reader &reader, const Section &section, bool verify,
              const std::vector<Range> &unneeded);
  Status map(const Reader &reader, const Section &section, bool verify);

  void *memory = nullptr;
  uint64_t bytes = 0;
};

} // namespace moert

#endif // RUNTIME_CORE_WEIGHTS_H
