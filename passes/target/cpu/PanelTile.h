//===- PanelTile.h - register tiles over packed panels ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_PANELTILE_H
#define PASSES_TARGET_CPU_PANELTILE_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {

/// Columns of a panel.
constexpr int64_t kPanelColumns = 16;

/// Rows of a tile. With four vectors of columns, 6 rows take 24 + 4 + 1 of 32
/// registers; with two, 12 + 2 + 1 of 16.
constexpr int64_t kTileRows = 6;

/// Builder of index arithmetic.
class KernelBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(*this, value);
  }
  Value add(Value a, Value b) { return createOrFold<arith::AddIOp>(a, b); }
  Value add(Value a, int64_t b) { return b == 0 ? a : add(a, index(b)); }
  Value sub(Value a, Value b) { return createOrFold<arith::SubIOp>(a, b); }
  Value mul(Value a, Value b) { return createOrFold<arith::MulIOp>(a, b); }
  Value mul(Value a, int64_t b) { return mul(a, index(b)); }
  Value div(Value a, Value b) { return createOrFold<arith::DivUIOp>(a, b); }
  Value rem(Value a, Value b) { return createOrFold<arith::RemUIOp>(a, b); }
  Value ceilDiv(Value a, int64_t b) { return div(add(a, b - 1), index(b)); }
  Value min(Value a, Value b) { return createOrFold<arith::MinUIOp>(a, b); }
  Value less(Value a, Value b) {
    return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ult, a, b);
  }

  /// Entry `i` of a buffer of i32 as an index.
  Value loadIndex(Value buffer, Value i) {
    Value entry = memref::LoadOp::create(*this, buffer, i);
    return arith::IndexCastOp::create(*this, getIndexType(), entry);
  }

  /// A loop from `lower` to `upper` by `step`.
  void loop(Value lower, Value upper, int64_t step,
            function_ref<void(Value)> body);

  /// A parallel loop nest from 0 to `counts`.
  void parallel(ValueRange counts, function_ref<void(ValueRange)> body);
};

/// One vector of a tile: lanes `lane` onwards of panel `panel`.
struct TileColumn {
  int64_t panel;
  int64_t lane;
};

/// Physical panels that are worked on together, in one or more passes, each of
/// a tile's width.
struct PanelBlock {
  int64_t panels;
  SmallVector<SmallVector<TileColumn>> passes;
};

/// What a tile can rely on.
struct TileTarget {
  /// Lanes of a vector of f32.
  int64_t lanes;

  /// For an instruction set level such as "x86-64-v4".
  static FailureOr<TileTarget> get(StringRef isa);

  /// The widest block of panels with `sources` matrices side by side.
  PanelBlock getBlock(int64_t sources) const;

  /// The smallest one.
  PanelBlock getTail(int64_t sources) const;
};

/// The operands of a tile; buffers are one-dimensional.
struct TileOperands {
  Value rows;
  /// Where each row starts.
  SmallVector<Value> rowOffsets;
  Value panels;
  /// Where the first panel starts.
  Value panelOffset;
  /// The inner extent.
  Value depth;
};

/// Emits the sum over the inner extent for a tile; the sums come row by row.
SmallVector<Value> emitTile(KernelBuilder &b, const TileOperands &operands,
                            ArrayRef<TileColumn> columns, int64_t lanes);

/// Splits `count` rows into groups of at most `kTileRows`, as equal as
/// possible, and calls `body` with the first row of a group and its height.
void emitRowGroups(KernelBuilder &b, Value count,
                   function_ref<void(Value, int64_t)> body);

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_PANELTILE_H
