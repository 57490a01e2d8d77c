//===- ByteRows.h - rows as bytes -------------------------------------------===//
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

/// Rows of integers for the groups of `#kern.quantized`: number k is about
/// scale[g] * integer[k], g being its group. Integers are
/// - one byte, the scale being the largest magnitude of the group over 127; or
/// - three bytes of 23 bits, signed digits to the base 256, the scale being the
///   power of two that the largest magnitude asks for: what is lost is at most
///   2^-23 of that, about what a sum in f32 loses.
///
/// A record of a row of K numbers, G groups of them, is
///
///   1. for each digit, the highest first, G groups of bytes, the last one
///      padded with zeros;
///   2. G scales, f32;
///   3. for each digit, G sums of the bytes of a group, i32.
///
/// The bytes of eight numbers are in the order in which panels hold these:
/// numbers of four bits as 0 2 4 6 1 3 5 7, so that a mask and a shift part
/// them into two words of four bytes. NaN and infinities make the scale of
/// their group no number.
class ByteRows {
public:
  ByteRows(kern::QuantizedAttr layout, int64_t digits)
      : group(layout.getGroup()), digits(digits),
        isParted(layout.getNumbers().getIntOrFloatBitWidth() == 4) {}

  /// The highest first.
  int64_t getDigits() const { return digits; }
  /// What `digit` counts for.
  float getWeight(int64_t digit) const;
  /// The largest magnitude of the number that digits `first` to `last` are.
  int64_t getLargest(int64_t first, int64_t last) const;
  /// Where a digit of the first group of the record at `start` is.
  Value getStart(KernelBuilder &b, Value start, Value depth,
                 int64_t digit) const;

  /// Converts `rows`, whose last dimension are K numbers, in parallel.
  FlatBuffer emit(KernelBuilder &b, BufferScope &scope,
                  const FlatBuffer &rows) const;

  /// Bytes of a record of `depth` numbers.
  Value getRecordBytes(KernelBuilder &b, Value depth) const;

  /// Of group `number` of the record at `start` with numbers of `depth`.
  Value loadScale(KernelBuilder &b, Value records, Value start, Value depth,
                  Value number) const;
  Value loadSum(KernelBuilder &b, Value records, Value start, Value depth,
                Value number, int64_t digit) const;

private:
  std::pair<Value, Value> getFactors(KernelBuilder &b, Value largest) const;
  void emitGroup(KernelBuilder &b, const FlatBuffer &rows, Value rowStart,
                 Value count, Value records, Value start, Value depth,
                 Value number) const;
  Value getBytes(KernelBuilder &b, Value depth) const;
  Value getGroups(KernelBuilder &b, Value depth) const;

  int64_t group, digits;
  bool isParted;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_BYTEROWS_H
