//===- QuantizedTile.h - register tiles over quantised panels ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_QUANTIZEDTILE_H
#define PASSES_TARGET_CPU_QUANTIZEDTILE_H

#include "dialects/kern/KernDialect.h"
#include "passes/target/cpu/PanelTile.h"

namespace mlir::moe {

/// Emits the product of rows of f32 with panels that `layout` describes:
///
///   sum = sum over groups g of scale[g] * (sum over k in g of
///         row[k] * number[k] - zero[g] * sum over k in g of row[k])
///
/// in f32 and in an order that does not depend on the number of rows: rising in
/// g, and for products in k. A few rows, which wait for the panels
/// from memory, unpack numbers into registers. For more of them a chunk of the
/// panels is unpacked once, into memory that stays in the caches.
void emitQuantizedProduct(KernelBuilder &b, const TileTarget &target,
                          kern::QuantizedAttr layout,
                          const PanelProduct &product);

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_QUANTIZEDTILE_H
