//===- PackPanel.h - panels that are packed in a run ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_PACKPANEL_H
#define PASSES_TARGET_CPU_PACKPANEL_H

#include "passes/target/cpu/FlatBuffer.h"

namespace mlir::moe {

/// Packs the columns from `firstColumn` on of the matrix that starts at `from`
/// into the panel of depth `depth` that starts at `to`.
void emitPackPanel(KernelBuilder &b, const FlatBuffer &matrix, Value from,
                   Value firstColumn, int64_t depth, Value panels, Value to);

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_PACKPANEL_H
