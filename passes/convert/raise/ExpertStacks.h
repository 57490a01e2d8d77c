//===- ExpertStacks.h - the projections of experts as stacks ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_EXPERTSTACKS_H
#define PASSES_CONVERT_RAISE_EXPERTSTACKS_H

#include "passes/convert/raise/ExpertBody.h"
#include "passes/convert/raise/ExpertForms.h"

namespace mlir::moe {

/// Makes one stack of the matrices of all experts, and one of their biases.
class StackBuilder {
public:
  StackBuilder(OpBuilder &builder, Location loc, Tracer &tracer)
      : builder(builder), loc(loc), tracer(tracer) {}

  // Each returns nothing where the stack is no view of stored numbers.

  /// The stacks of a network whose matrices are stacked already.
  std::optional<ExpertsMatch> build(const FeedForward &network);
  /// The networks of single experts, which are of one form, in their order.
  std::optional<ExpertsMatch> build(ArrayRef<const FeedForward *> networks);

  /// The stack of one projection.
  std::optional<ExpertLinear> getStack(const LinearMatch &linear);

private:
  std::optional<ExpertLinear> getStack(ArrayRef<const LinearMatch *> lanes);
  Value getBias(const LinearMatch &linear);

  OpBuilder &builder;
  Location loc;
  Tracer &tracer;
};

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_EXPERTSTACKS_H
