//===- PackPanel.cpp - panels that are packed in a run ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/PackPanel.h"

#include "passes/target/cpu/TileTarget.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

class PanelPacker {
public:
  PanelPacker(KernelBuilder &b, const FlatBuffer &matrix, int64_t depth,
              Value panels)
      : b(b), matrix(matrix), depth(depth), panels(panels),
        element(cast<MemRefType>(matrix.buffer.getType()).getElementType()) {}

  /// Packs `count` rows of a step, of `width` columns; zeros fill it up.
  void packStep(Value from, int64_t count, Value width, Value to) {
    Value isWhole = b.createOrFold<arith::CmpIOp>(
        arith::CmpIPredicate::eq, width, b.index(kPanelColumns));
    b.branch(
        isWhole, [&] { packWhole(from, count, to); },
        [&] { packPart(from, count, width, to); });
  }

private:
  Value getRow(Value from, int64_t row) {
    Value stride = matrix.strides[matrix.strides.size() - 2];
    return row == 0 ? from : b.add(from, b.mul(stride, row));
  }

  void packWhole(Value from, int64_t count, Value to) {
    auto type = VectorType::get(kPanelColumns, element);
    SmallVector<Value> rows;
    for (int64_t row = 0; row < depth; ++row) {
      if (row < count)
        rows.push_back(
            vector::LoadOp::create(b, type, matrix.buffer, getRow(from, row)));
      else
        rows.push_back(arith::ConstantOp::create(b, b.getZeroAttr(type)));
    }
    vector::StoreOp::create(b, interleave(rows), panels, to);
  }

  /// The entries of each column side by side, for a depth of 1 or 2.
  Value interleave(ArrayRef<Value> rows) {
    if (rows.size() == 1)
      return rows.front();
    SmallVector<int64_t> order;
    for (int64_t column = 0; column < kPanelColumns; ++column)
      order.append({column, kPanelColumns + column});
    return vector::ShuffleOp::create(b, rows[0], rows[1], order);
  }

  /// One by one: not every level has masked loads of narrow numbers.
  void packPart(Value from, int64_t count, Value width, Value to) {
    Value zero = arith::ConstantOp::create(b, b.getZeroAttr(element));
    for (int64_t row = 0; row < depth; ++row) {
      Value begin = b.index(0);
      auto store = [&](Value column, Value entry) {
        Value place = b.add(b.add(to, b.mul(column, depth)), row);
        memref::StoreOp::create(b, entry, panels, place);
      };
      if (row < count) {
        b.loop(begin, width, 1, [&](Value column) {
          Value place = b.add(getRow(from, row), column);
          store(column, memref::LoadOp::create(b, matrix.buffer, place));
        });
        begin = width;
      }
      b.loop(begin, b.index(kPanelColumns), 1,
             [&](Value column) { store(column, zero); });
    }
  }

  KernelBuilder &b;
  const FlatBuffer &matrix;
  int64_t depth;
  Value panels;
  Type element;
};

} // namespace

void moe::emitPackPanel(KernelBuilder &b, const FlatBuffer &matrix, Value from,
                        Value firstColumn, int64_t depth, Value panels,
                        Value to) {
  size_t rank = matrix.sizes.size();
  Value rows = matrix.sizes[rank - 2], columns = matrix.sizes[rank - 1];
  Value width = b.min(b.sub(columns, firstColumn), b.index(kPanelColumns));
  Value whole = b.div(rows, b.index(depth));
  PanelPacker packer(b, matrix, depth, panels);
  auto pack = [&](Value step, int64_t count) {
    Value row = b.mul(b.mul(step, depth), matrix.strides[rank - 2]);
    packer.packStep(b.add(b.add(from, row), firstColumn), count, width,
                    b.add(to, b.mul(step, kPanelColumns * depth)));
  };
  b.loop(b.index(0), whole, 1, [&](Value step) { pack(step, depth); });
  // The last step may lack rows.
  for (int64_t rest = 1; rest < depth; ++rest) {
    Value count = b.rem(rows, b.index(depth));
    Value isRest = arith::CmpIOp::create(b, arith::CmpIPredicate::eq, count,
                                         b.index(rest));
    b.branch(isRest, [&] { pack(whole, rest); }, [] {});
  }
}
