//===- ByteTile.h - register tiles that multiply bytes ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_BYTETILE_H
#define PASSES_TARGET_CPU_BYTETILE_H

#include "dialects/kern/KernDialect.h"
#include "passes/target/cpu/PanelTile.h"

namespace mlir::moe {

/// Emits the product of records of `ByteRows` of `digits` bytes with panels
/// that `layout` describes:
///
///   sum = sum over groups g, and digits d from the highest one down, of
///         scale[g] * rowScale[g] * 256^d *
///         (sum over k in g of byte[d,k] * number[k] - zero[g] * byteSum[d,g])
///
/// The inner sums are exact, the outer one is taken in f32 in that order. The
/// instruction vpdpbusd multiplies unsigned numbers of the panels with
/// the bytes of a row. As for other quantised panels, a few rows unpack numbers
/// into registers, more of them into memory that stays in the caches.
void emitByteProduct(KernelBuilder &b, const TileTarget &target,
                     kern::QuantizedAttr layout, int64_t digits,
                     const PanelProduct &product);

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_BYTETILE_H
