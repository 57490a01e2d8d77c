//===- AttentionLoops.h - attention as parallel loops ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_GPU_ATTENTIONLOOPS_H
#define PASSES_TARGET_GPU_ATTENTIONLOOPS_H

#include "passes/target/gpu/ExpertLoops.h"

namespace mlir::moe {

/// Parallel loops that compute `op`, with its scores in memory.
void emitAttention(ExpertBuilder &b, kern::AttentionOp op);

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_ATTENTIONLOOPS_H
