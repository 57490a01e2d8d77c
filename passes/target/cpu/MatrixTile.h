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

/// Creates a function that adds to tiles of sums the products of tiles of rows
/// and of panels of bf16 by the AMX instruction tdpbf16ps. A tile is 16 rows of
/// 64 bytes; panels of depth 2 hold tiles as the instruction wants them. The
/// registers have their shapes when it is called. Source: Intel Architecture
/// Instruction Set Extensions Programming Reference, chapter "Intel AMX
/// instruction set".
///
/// Arguments, all numbers of elements: rows, where the first one starts, how
/// far they are apart, panels, where the first one starts, how far they are
/// apart, sums, where the first one is, number of steps, and where in each
/// panel and how many cache lines to fetch ahead in each step.
struct MatrixTileShape {
  int64_t rowTiles;
  int64_t panels;
};
func::FuncOp getMatrixTile(SymbolTable &symbols, const TileTarget &target,
                           MLIRContext *context, MatrixTileShape shape);

/// Emits the loops over chunks, rows and panels around tiles. The rows of the
/// product are equally far apart. A sum is taken in the same order whatever the
/// number of rows is.
void emitMatrixProduct(KernelBuilder &b, SymbolTable &symbols,
                       const TileTarget &target, const PanelProduct &product);

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_MATRIXTILE_H
