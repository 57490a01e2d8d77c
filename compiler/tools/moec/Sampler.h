//===- Sampler.h - chooses the next token ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_SAMPLER_H
#define COMPILER_TOOLS_MOEC_SAMPLER_H

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

struct SamplerOptions {
  /// 0: always the most likely token.
  double temperature = 0;
  /// The likeliest tokens that together have this probability; 1: all.
  double topP = 1;
  /// That many of the likeliest tokens; 0: all.
  size_t topK = 0;
  uint64_t seed = 0;
};

/// Gives the same tokens for the same logits and seed on every machine.
class Sampler {
public:
  explicit Sampler(const SamplerOptions &options)
      : options(options), random(options.seed) {}

  /// The index of a logit; the lowest one among equals if there is no chance
  /// involved. NaN is never chosen unless there is nothing else.
  size_t choose(const std::vector<float> &logits);

private:
  SamplerOptions options;
  std::mt19937_64 random;
};

#endif // COMPILER_TOOLS_MOEC_SAMPLER_H
