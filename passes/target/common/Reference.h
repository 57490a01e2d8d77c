//===- Reference.h - plain loops for operations of the moe dialect ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_COMMON_REFERENCE_H
#define PASSES_TARGET_COMMON_REFERENCE_H

#include "dialects/kern/KernDialect.h"
#include "dialects/moe/MoEDialect.h"
#include "passes/target/common/LoopBuilder.h"

namespace mlir::moe {

// Each builds the loops for an operation before it and returns what replaces
// its results.
SmallVector<Value> lowerRoutePermute(RoutePermuteOp op);
SmallVector<Value> lowerPermute(PermuteOp op);
Value lowerGroupedMatmul(GroupedMatmulOp op);
Value lowerCombine(CombineOp op);
Value lowerShared(SharedOp op);
Value lowerFusedFFN(FusedFFNOp op);
Value lowerAttention(kern::AttentionOp op);

/// The prefix sums of `counts` (E + 1 entries, entry e + 1 counts expert e) and
/// the assignments in the order of experts.
SmallVector<Value> buildPermutation(LoopBuilder &b, Value ids, Value counts);

/// `act(gate, up)` of `#moe.activation`; `gate` may be null.
Value buildActivation(LoopBuilder &b, ActivationAttr activation, Value gate,
                      Value up);

} // namespace mlir::moe

#endif // PASSES_TARGET_COMMON_REFERENCE_H
