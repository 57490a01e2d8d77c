//===- AccessCounters.cpp - counts how memory is accessed -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/AccessCounters.h"

#include <algorithm>
#include <vector>

using namespace emulated;

void AccessCounters::countShared(unsigned line, const uint64_t *addresses,
                                 uint32_t mask, unsigned size) {
  AccessCount &count = lines[line];
  ++count.requests;
  count.bytes += uint64_t(size) * __builtin_popcount(mask);
  unsigned lanesAtOnce = size >= 16 ? 8 : size == 8 ? 16 : 32;
  for (unsigned first = 0; first < 32; first += lanesAtOnce) {
    std::vector<uint64_t> words;
    for (unsigned lane = first; lane < first + lanesAtOnce; ++lane)
      if (mask >> lane & 1)
        for (uint64_t word = addresses[lane] / 4;
             word * 4 < addresses[lane] + size; ++word)
          words.push_back(word);
    if (words.empty())
      continue;
    std::sort(words.begin(), words.end());
    words.erase(std::unique(words.begin(), words.end()), words.end());
    unsigned perBank[32] = {}, most = 0;
    for (uint64_t word : words)
      most = std::max(most, ++perBank[word % 32]);
    count.wavefronts += most;
    count.idealWavefronts += (words.size() + 31) / 32;
  }
}

void AccessCounters::countGlobal(unsigned line, const uint64_t *addresses,
                                 uint32_t mask, unsigned size) {
  AccessCount &count = lines[line];
  ++count.requests;
  count.bytes += uint64_t(size) * __builtin_popcount(mask);
  std::vector<uint64_t> sectors;
  for (unsigned lane = 0; lane < 32; ++lane)
    if (mask >> lane & 1)
      for (uint64_t sector = addresses[lane] / 32;
           sector * 32 < addresses[lane] + size; ++sector)
        sectors.push_back(sector);
  std::sort(sectors.begin(), sectors.end());
  count.sectors +=
      std::unique(sectors.begin(), sectors.end()) - sectors.begin();
}

static void accumulate(AccessCount &to, const AccessCount &from) {
  to.requests += from.requests;
  to.bytes += from.bytes;
  to.wavefronts += from.wavefronts;
  to.idealWavefronts += from.idealWavefronts;
  to.sectors += from.sectors;
}

void AccessCounters::add(const AccessCounters &other) {
  for (const auto &entry : other.lines)
    accumulate(lines[entry.first], entry.second);
}

static std::string toText(const AccessCount &count) {
  return "\"requests\": " + std::to_string(count.requests) +
         ", \"bytes\": " + std::to_string(count.bytes) +
         ", \"wavefronts\": " + std::to_string(count.wavefronts) +
         ", \"idealWavefronts\": " + std::to_string(count.idealWavefronts) +
         ", \"sectors\": " + std::to_string(count.sectors);
}

std::string AccessCounters::toJson() const {
  AccessCount total;
  std::string text;
  for (const auto &entry : lines) {
    accumulate(total, entry.second);
    text += (text.empty() ? "" : ", ") + std::string("{\"line\": ") +
            std::to_string(entry.first) + ", " + toText(entry.second) + "}";
  }
  return "{" + toText(total) + ", \"lines\": [" + text + "]}";
}
