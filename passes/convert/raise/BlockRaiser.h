//===- BlockRaiser.h - experts behind one result ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_BLOCKRAISER_H
#define PASSES_CONVERT_RAISE_BLOCKRAISER_H

#include "passes/convert/raise/ExpertForms.h"

namespace mlir::moe {

/// A block that was recognised.
struct RaisedBlock {
  Location loc;
  StringRef form;
  int64_t experts, slots;
  ActivationAttr activation;
};

/// A block that was not.
struct MissedBlock {
  Miss miss;
  /// The last product of the experts.
  Operation *product;
};

/// Replaces the experts among the summands of `result` by `moe.experts`.
/// Returns whether there were any; `missed` tells about those that nearly fit.
/// Experts without mixing weights count only if `ungated` is set: they may be
/// part of a larger block.
bool raiseBlocks(Value result, bool ungated,
                 SmallVectorImpl<RaisedBlock> &raised,
                 SmallVectorImpl<MissedBlock> &missed);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_BLOCKRAISER_H
