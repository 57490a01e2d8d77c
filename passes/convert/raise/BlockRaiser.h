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

/// Which blocks are looked for. What one finds may be part of what a former one
/// would have found.
enum class RaiseMode {
  /// Sums of experts with mixing weights.
  Plain,
  /// The same behind factors of sums, selections and choices among results.
  Distributed,
  /// Experts without mixing weights, too.
  Ungated
};

/// Replaces the experts among the summands of `result` by `moe.experts`.
/// Returns whether there were any; `missed` tells about those that nearly fit.
bool raiseBlocks(Value result, RaiseMode mode,
                 SmallVectorImpl<RaisedBlock> &raised,
                 SmallVectorImpl<MissedBlock> &missed);

/// Replaces experts whose rows the graph has brought to them, one block of rows
/// for each expert in `result`.
bool raiseDispatchedRows(Value result, SmallVectorImpl<RaisedBlock> &raised);

/// Replaces one product with gathered matrices by a product in groups.
bool raiseGroupedProduct(Value result, SmallVectorImpl<RaisedBlock> &raised);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_BLOCKRAISER_H
