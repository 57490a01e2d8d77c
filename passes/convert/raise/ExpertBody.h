//===- ExpertBody.h - the feed-forward network of an expert -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_EXPERTBODY_H
#define PASSES_CONVERT_RAISE_EXPERTBODY_H

#include "dialects/moe/MoEDialect.h"
#include "passes/convert/raise/DataFlow.h"

namespace mlir::moe {

/// An activation and the values that go into it, before any clamps.
struct ActivationMatch {
  ActivationAttr activation;
  /// Null if the expert has no gate.
  Value gate;
  Value up;
};

/// Finds `act(gate) * (up + offset)` or `act(up)` behind `hidden`.
std::optional<ActivationMatch> matchActivation(Value hidden);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_EXPERTBODY_H
