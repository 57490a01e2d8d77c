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
  Value x, ids, weights;
  ActivationAttr activation;
  std::optional<ExpertLinear> gate;
  ExpertLinear up, down;
};

/// Why a block that looks like experts was not recognised.
struct Miss {
  std::string form;
  std::string reason;
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
/// Gathered weights: one batched product for all assignments.
bool raiseBatched(onnx::ReduceSumOp op, std::optional<Miss> &miss);
/// Rows sorted by expert, one product for each expert's rows.
bool raiseGrouped(onnx::ReduceSumOp op, std::optional<Miss> &miss);

/// One expert on all tokens, with a weight for each that may be zero.
struct DenseLane {
  int64_t expert = 0;
  Value ids, weights, output;
};
/// A running sum of experts.
struct DenseSum {
  Value result;
  SmallVector<DenseLane> lanes;
};
/// The longest sums, in one sweep.
SmallVector<DenseSum> findDenseSums(Operation *root);
bool raiseDense(const DenseSum &sum, std::optional<Miss> &miss);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_EXPERTFORMS_H
