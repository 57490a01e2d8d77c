//===- ExpertForms.h - the forms in which experts are exported --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_EXPERTFORMS_H
#define PASSES_CONVERT_RAISE_EXPERTFORMS_H

#include "dialects/moe/MoEDialect.h"
#include "passes/convert/raise/DataFlow.h"
#include "passes/convert/raise/WeightView.h"

namespace mlir::moe {

/// A linear map that every expert has its own matrix for.
struct ExpertLinear {
  /// One row for each assignment or token, before any reshapes.
  Value x;
  /// E x in x out.
  WeightView weights;
  /// E x out, or null.
  Value bias;
};

/// What a block of the graph was recognised as.
struct ExpertsMatch {
  /// Rows of tokens, and for each the ids and weights of its experts.
  Value x, ids, weights;
  ApplyWeight apply = ApplyWeight::Output;
  ActivationAttr activation;
  std::optional<ExpertLinear> gate;
  ExpertLinear up, down;
  /// Ids of -1 stand for no expert.
  bool drops = false;
  /// `down` is all there is.
  bool isLinear = false;
};

/// Why a block that looks like experts was not recognised.
struct Miss {
  std::string form;
  std::string reason;
};

/// A part of the last dimension: entries start, start + step, ...
struct LastDimSlice {
  Value source;
  int64_t start = 0, count = 0, step = 1;
};
/// A linear map cut to a part of its outputs; fails where strides cannot say
/// so.
std::optional<ExpertLinear> cutOutputs(OpBuilder &builder,
                                       const ExpertLinear &linear,
                                       const LastDimSlice &slice);

/// Replaces `result` (rows of the combined output) by `moe.experts`.
LogicalResult buildExperts(Value result, const ExpertsMatch &match);

/// `value` as a matrix with rows of its last dimension.
Value asMatrix(OpBuilder &builder, Location loc, Value value);

/// Equal vectors as the rows of a matrix.
Value stackVectors(OpBuilder &builder, Location loc, ArrayRef<Value> vectors);

// The forms. Each returns whether it replaced the block that ends in the given
// operation; `miss` says what was wrong with one that nearly fits.

/// com.microsoft.MoE: one node. Fails for attributes that contradict the
/// shapes.
LogicalResult raiseMicrosoftMoE(onnx::MicrosoftMoEOp op,
                                std::optional<Miss> &miss);
/// com.microsoft.QMoE: the same with quantised weights.
LogicalResult raiseMicrosoftQMoE(onnx::MicrosoftQMoEOp op,
                                 std::optional<Miss> &miss);

/// The experts of `match` as one operation, tokens x width. Fails where the
/// number of slots is not known or exceeds the experts.
FailureOr<Value> createExperts(OpBuilder &builder, Location loc,
                               const ExpertsMatch &match, Type element);

/// Brings rows x width back into the shape of `old`, which has the leading
/// dimensions of `like`.
Value restoreShape(OpBuilder &builder, Location loc, Value matrix, Value old,
                   Value like);

/// `value` with another float type.
Value buildCast(OpBuilder &builder, Location loc, Value value, Type element);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_EXPERTFORMS_H
