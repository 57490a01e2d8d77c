//===- GatherRows.cpp - the rows of experts one behind the other ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/GatherRows.h"

#include "passes/target/cpu/RowPadding.h"

using namespace mlir;
using namespace mlir::moe;

/// Rows that a task copies: enough to be worth a task.
static constexpr int64_t kTaskRows = 16;

/// Copies `size` numbers, a cache line at a time.
static void emitCopyRow(KernelBuilder &b, Value from, Value fromOffset,
                        Value to, Value toOffset, Value size) {
  Type element = cast<MemRefType>(from.getType()).getElementType();
  int64_t line = kLineBytes * 8 / element.getIntOrFloatBitWidth();
  auto type = VectorType::get(line, element);
  Value whole = b.mul(b.div(size, b.index(line)), line);
  b.loop(b.index(0), whole, line, [&](Value i) {
    Value numbers = vector::LoadOp::create(b, type, from, b.add(fromOffset, i));
    vector::StoreOp::create(b, numbers, to, b.add(toOffset, i));
  });
  b.loop(whole, size, 1, [&](Value i) {
    Value number = memref::LoadOp::create(b, from, b.add(fromOffset, i));
    memref::StoreOp::create(b, number, to, b.add(toOffset, i));
  });
}

FlatBuffer moe::emitGatherRows(KernelBuilder &b, BufferScope &scope,
                               const FlatBuffer &rows,
                               const FlatBuffer &assignments, Value count,
                               int64_t slots) {
  Type element = cast<MemRefType>(rows.buffer.getType()).getElementType();
  Value size = rows.sizes[1];
  // Whole lines and an odd one, so that rows do not crowd the caches.
  int64_t line = kLineBytes * 8 / element.getIntOrFloatBitWidth();
  Value stride = b.mul(b.add(b.ceilDiv(size, line), 1), line);
  FlatBuffer result;
  result.buffer = scope.allocate(b.mul(count, stride), element);
  result.offset = b.index(0);
  result.sizes = {count, size};
  result.strides = {stride, b.index(1)};
  EvenSplit tasks(b, count, kTaskRows);
  b.parallel(tasks.parts, [&](ValueRange indices) {
    auto [first, own] = tasks.getPart(b, indices[0]);
    b.loop(first, b.add(first, own), 1, [&](Value position) {
      Value assignment =
          b.loadIndex(assignments.buffer, b.add(assignments.offset, position));
      Value token = b.div(assignment, b.index(slots));
      emitCopyRow(b, rows.buffer,
                  b.add(rows.offset, b.mul(token, rows.strides[0])),
                  result.buffer, b.mul(position, stride), size);
    });
  });
  return result;
}
