//===- BenchInputs.h - inputs of a chosen number of tokens ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_BENCHINPUTS_H
#define COMPILER_TOOLS_MOEC_BENCHINPUTS_H

#include "compiler/tools/moec/Tensor.h"

#include <random>

/// Makes inputs for a model: one sequence of some tokens behind a cache.
///
/// Of several dynamic extents of an input the first is the batch (1), the
/// second the tokens; a single one is the tokens. Extents with one name are
/// equal. Inputs are known by their names: ids are random numbers below the
/// vocabulary, masks 1, positions count up, caches of keys and values
/// (`past...`) hold `pastTokens` tokens, lengths follow; other integers are 0.
/// Floats are uniform in [-1, 1).
class BenchInputs {
public:
  BenchInputs(const std::vector<moe_value_info_t> &inputs,
              const std::vector<moe_value_info_t> &outputs, int64_t pastTokens);

  /// Whether the number of tokens is the caller's to choose.
  bool hasTokenExtent() const;

  /// One tensor for each input.
  std::vector<Tensor> make(int64_t tokens, std::mt19937 &random) const;

private:
  std::vector<std::vector<int64_t>> chooseExtents(int64_t tokens) const;
  void fill(const moe_value_info_t &info, int64_t tokens, std::mt19937 &random,
            Tensor &tensor) const;

  const std::vector<moe_value_info_t> &inputs;
  int64_t pastTokens;
  /// Ids are below this.
  int64_t vocabulary = 2;
};

#endif // COMPILER_TOOLS_MOEC_BENCHINPUTS_H
