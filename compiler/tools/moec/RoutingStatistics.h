//===- RoutingStatistics.h - what a routing trace shows -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_ROUTINGSTATISTICS_H
#define COMPILER_TOOLS_MOEC_ROUTINGSTATISTICS_H

#include "compiler/tools/moec/RoutingTraceFile.h"

#include "llvm/Support/JSON.h"

/// How the tokens of one layer spread over its experts.
struct RoutingStatistics {
  /// Assignments to each expert.
  std::vector<int64_t> loads;
  /// (max - mean) / mean of the loads.
  double imbalance = 0;
  /// Of the loads, as a part of that of even loads: 1 is even, 0 one expert.
  double entropy = 0;
  /// Experts without a token.
  int64_t unused = 0;
  /// The part of a token's experts that the token before it chose, too.
  double reuse = 0;
  /// The mean of the largest weight of a token; 0 without weights.
  double largestWeight = 0;

  explicit RoutingStatistics(const RecordedLayer &layer);
};

/// How often tokens choose two of the experts together.
struct Coactivation {
  /// The busiest ones, at most `limit`, in rising order.
  std::vector<int64_t> experts;
  /// Row-major; a diagonal element is the load of the expert.
  std::vector<int64_t> counts;

  Coactivation(const RecordedLayer &layer, const std::vector<int64_t> &loads,
               size_t limit);
};

/// Everything above of all layers, for programs and for pages.
llvm::json::Object describeRouting(llvm::ArrayRef<RecordedLayer> layers);

#endif // COMPILER_TOOLS_MOEC_ROUTINGSTATISTICS_H
