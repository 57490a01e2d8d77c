//===- ByteRows.h - rows that are rounded to eight bits ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_BYTEROWS_H
#define PASSES_TARGET_CPU_BYTEROWS_H

#include "dialects/kern/KernDialect.h"
#include "passes/target/cpu/FlatBuffer.h"

namespace mlir::moe {

/// Rows of bytes for the groups of `#kern.quantized`. A record of a row of K
/// numbers, G groups of them, is
///
///   1. G groups of bytes, the last one padded with zeros: number k is about
///      scale[g] * byte[k], scale[g] being the largest magnitude of its group
///      over 127;
///   2. G scales, f32;
///   3. G sums of the bytes of a group, i32.
///
/// The bytes of eight numbers are in the order in which panels hold these:
/// numbers of four bits as 0 2 4 6 1 3 5 7, so that a mask and a shift part
/// them into two words of four bytes. NaN and infinities make the scale of
/// their group one.
class ByteRows {
public:
  explicit ByteRows(kern::QuantizedAttr layout)
      : group(layout.getGroup()),
        isParted(layout.getNumbers().getIntOrFloatBitWidth() == 4) {}

  /// Rounds `rows`, whose last dimension are K numbers, in parallel.
  FlatBuffer emit(KernelBuilder &b, BufferScope &scope,
                  const FlatBuffer &rows) const;

  /// Bytes of a record of `depth` numbers.
  Value getRecordBytes(KernelBuilder &b, Value depth) const;

  /// Of group `number` of the record at `start` with numbers of `depth`.
  Value loadScale(KernelBuilder &b, Value records, Value start, Value depth,
                  Value number) const;
  Value loadSum(KernelBuilder &b, Value records, Value start, Value depth,
                Value number) const;

private:
  void emitGroup(KernelBuilder &b, const FlatBuffer &rows, Value rowStart,
                 Value count, Value records, Value start, Value depth,
                 Value number) const;
  Value getBytes(KernelBuilder &b, Value depth) const;
  Value getGroups(KernelBuilder &b, Value depth) const;

  int64_t group;
  bool isParted;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_BYTEROWS_H
