//===- Manifest.h - what an artifact says about itself --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_CORE_MANIFEST_H
#define RUNTIME_CORE_MANIFEST_H

#include "runtime/format/Status.h"

#include <string>
#include <vector>

namespace moert {

/// An input or output of a program.
struct ValueInfo {
  std::string name;
  moe_dtype_t dtype;
  /// -1: known at run time only.
  std::vector<int64_t> dims;
  /// The name of each extent, or "".
  std::vector<std::string> symbols;
  /// `symbols` for the C interface.
  std::vector<const char *> symbolPointers;

  /// A dimension of a value of the same list.
  struct Place {
    uint32_t value, dimension;
  };
  /// Where the symbol of each dimension occurs first; the dimension itself if
  /// it has none.
  std::vector<Place> firstPlaces;

  /// Such as `f32[batch x 8]`.
  std::string str() const;
};

/// An output that is an input followed by new entries along a dimension.
struct StateInfo {
  uint32_t input, output, axis;
};

/// How rows of a layer travel between ranks; see docs/placement.md.
enum class ExchangeAlgorithm { Gather, Direct, TwoLevel };

/// For steps of at most `maxTokens` tokens over all ranks.
struct ExchangeChoice {
  int64_t maxTokens;
  ExchangeAlgorithm algorithm;
};

/// The ranks that hold each expert of a layer, see #moe.placement, and how rows
/// get there, by rising `maxTokens`.
struct LayerPlacement {
  std::vector<std::vector<int32_t>> experts;
  std::vector<ExchangeChoice> exchanges;
};

/// The ranks that run a program together, node by node.
struct RankLayout {
  uint32_t ranks = 1, ranksPerNode = 1;
  /// Each rank has tokens of its own; if not, all ranks have all tokens.
  bool hasOwnTokens = false;
};

/// Weights of which a rank needs those of its experts only: `experts` pieces of
/// equal size.
struct ExpertWeights {
  uint64_t offset, bytes;
  uint32_t layer;
};

/// The part of the manifest that running a program needs.
struct Manifest {
  uint32_t hostInterface = 0;
  std::vector<ValueInfo> inputs;
  std::vector<ValueInfo> outputs;
  std::vector<StateInfo> states;
  RankLayout layout;
  /// By layer; empty where a layer has none.
  std::vector<LayerPlacement> placements;
  std::vector<ExpertWeights> expertWeights;

  static Status parse(const std::string &json, Manifest &result);
};

/// False if there is no type of this name.
bool parseDtype(const std::string &name, moe_dtype_t &result);

/// Such as `f32[2 x 8]`.
std::string describe(moe_dtype_t dtype, uint32_t rank, const int64_t *dims);

} // namespace moert

#endif // RUNTIME_CORE_MANIFEST_H
