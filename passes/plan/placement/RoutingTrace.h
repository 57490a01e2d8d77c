//===- RoutingTrace.h - which experts tokens have chosen --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_ROUTINGTRACE_H
#define PASSES_PLAN_PLACEMENT_ROUTINGTRACE_H

#include "passes/plan/placement/ExpertModel.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace mlir::moe {

/// The choices of one layer: `slots` ids for each token. An id below 0 is a
/// slot that no expert serves.
struct LayerTrace {
  int64_t slots = 0;
  std::vector<int32_t> ids;

  int64_t getTokens() const { return slots ? ids.size() / slots : 0; }
  llvm::ArrayRef<int32_t> getToken(int64_t token) const {
    return llvm::ArrayRef(ids).slice(token * slots, slots);
  }
  /// Assignments per token of each expert.
  std::vector<double> getLoads(int64_t experts) const;
  /// At most `count` tokens, evenly spread.
  LayerTrace sample(int64_t count) const;
  /// The tokens from `begin` to before `end`.
  LayerTrace slice(int64_t begin, int64_t end) const;
};

struct RoutingTrace {
  /// A file, or the distribution the trace was drawn from.
  std::string source;
  std::vector<LayerTrace> layers;

  int64_t getTokens() const {
    return layers.empty() ? 0 : layers.front().getTokens();
  }
  /// Fails if the trace does not fit the layers of `model`.
  llvm::Error check(const ExpertModel &model) const;
};

/// Draws a trace of `tokens` tokens from a distribution:
/// - `uniform`: every expert is equally likely,
/// - `zipf:S`: the n-th most popular expert with probability ~ 1 / n^S,
/// - `skewed`: loads as in a large model, with an imbalance (max - mean) / mean
///   of the experts between 0.5 and 2.5, 1.56 on average over the layers.
/// Tokens belong to topics that prefer some experts, so that experts are chosen
/// together, and keep to half of the groups where a layer has groups. The same
/// arguments give the same trace.
llvm::Expected<RoutingTrace> drawTrace(const ExpertModel &model,
                                       llvm::StringRef distribution,
                                       int64_t tokens, uint64_t seed = 0);

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_ROUTINGTRACE_H
