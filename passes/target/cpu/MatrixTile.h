//===- MatrixTile.h - products by matrix registers --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_MATRIXTILE_H
#define PASSES_TARGET_CPU_MATRIXTILE_H

#include "passes/target/cpu/PanelTile.h"

namespace mlir::moe {

/// Emits a product of rows and panels of bf16, in panels of depth 2, by the AMX
/// instruction tdpbf16ps: loops over chunks, rows and panels around tiles of 16
/// rows of 64 bytes. The rows of the product are equally far apart. A sum is
/// taken in the same order whatever the number of rows is. Source: Intel
/// Architecture Instruction Set Extensions Programming Reference, chapter
/// "Intel AMX instruction set".
void emitMatrixProduct(KernelBuilder &b, SymbolTable &symbols,
                       const TileTarget &target, const PanelProduct &product);

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_MATRIXTILE_H
