//===- ExpertBody.h - the feed-forward network of an expert -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_EXPERTBODY_H
#define PASSES_CONVERT_RAISE_EXPERTBODY_H

#include "dialects/moe/MoEDialect.h"
#include "passes/convert/raise/LinearMatch.h"

#include <string>

namespace mlir::moe {

/// An activation and the values that go into it, before any clamps.
struct ActivationMatch {
  ActivationAttr activation;
  /// Null if the expert has no gate.
  IndexedValue gate;
  IndexedValue up;
  /// Factors that do not depend on the inner width: weights of the expert.
  SmallVector<IndexedValue> gates;
};

/// Finds `act(gate) * (up + offset)` or `act(up)` behind `hidden`, whose inner
/// width is counted by `inner`.
std::optional<ActivationMatch>
matchActivation(Tracer &tracer, const IndexedValue &hidden, int inner);

/// A whole expert.
struct FeedForward {
  /// Rows of tokens, with the width counted by `up.in`.
  IndexedValue x;
  ActivationAttr activation;
  std::optional<LinearMatch> gate;
  LinearMatch up, down;
  /// What multiplies the output and the input of the expert.
  SmallVector<IndexedValue> outputGates, inputGates;
  /// There is only one product: `up` is `down`.
  bool isLinear = false;
};

/// An expert of a single product behind `indexed`.
std::optional<FeedForward>
matchLinearExpert(Tracer &tracer, const IndexedValue &indexed, int out);

/// Finds an expert behind `indexed`, whose outputs are counted by `out`.
/// `reason` says what did not fit, if at least the last product did.
std::optional<FeedForward> matchFeedForward(Tracer &tracer,
                                            const IndexedValue &indexed,
                                            int out, std::string &reason);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_EXPERTBODY_H
