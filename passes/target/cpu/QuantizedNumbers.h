//===- QuantizedNumbers.h - numbers of less than 16 bits in registers -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_QUANTIZEDNUMBERS_H
#define PASSES_TARGET_CPU_QUANTIZEDNUMBERS_H

#include "dialects/kern/KernDialect.h"
#include "passes/target/cpu/KernelBuilder.h"
#include "passes/target/cpu/TileTarget.h"

namespace mlir::moe {

/// Reads what a group of `#kern.quantized` holds as vectors of `lanes` f32.
/// Offsets are in bytes of `panels`, a buffer of one dimension; `lane` is the
/// first of the columns of a vector.
class QuantizedNumbers {
public:
  QuantizedNumbers(const TileTarget &target, kern::QuantizedAttr layout);

  /// Rows that are unpacked together; every group has whole steps of them.
  static constexpr int64_t kStepRows = 8;
  /// Bytes that a step takes in a panel.
  int64_t getStepBytes() const;
  int64_t getGroupBytes() const {
    return kPanelColumns * layout.getColumnBytes();
  }
  /// Bytes of a panel of `depth` rows.
  Value getPanelBytes(KernelBuilder &b, Value depth) const {
    return b.mul(b.ceilDiv(depth, layout.getGroup()), getGroupBytes());
  }
  /// Rows, about 256 in whole groups, that are unpacked for many rows of the
  /// other side at a time: they stay in the caches.
  int64_t getChunkRows() const;

  /// The words of the step at `offset`, for `unpack`.
  SmallVector<Value> loadStep(KernelBuilder &b, Value panels, Value offset,
                              int64_t lane) const;
  /// The numbers of row `row` of a step.
  Value unpack(KernelBuilder &b, ArrayRef<Value> step, int64_t row) const;
  /// The same for a row that is not known.
  Value loadRow(KernelBuilder &b, Value panels, Value offset, Value row,
                int64_t lane) const;

  bool hasZeros() const { return layout.hasZeroPoints(); }
  /// The zero points of the group at `offset`, if numbers have them.
  Value loadZeros(KernelBuilder &b, Value panels, Value offset,
                  int64_t lane) const;
  /// What the numbers of the group at `offset` are multiplied by.
  Value loadScales(KernelBuilder &b, Value panels, Value offset,
                   int64_t lane) const;

private:
  VectorType getType(Type element) const {
    return VectorType::get(lanes, element);
  }
  Value splat(KernelBuilder &b, int32_t value) const;
  Value loadBytes(KernelBuilder &b, Value panels, Value offset,
                  int64_t bytes) const;
  Value widenBytes(KernelBuilder &b, Value bytes) const;
  Value unpackHalfByte(KernelBuilder &b, Value words, Value shift) const;
  Value lookUp(KernelBuilder &b, ArrayRef<float> table, Value indices) const;

  int64_t lanes;
  kern::QuantizedAttr layout;
  Type numbers;
  unsigned bits;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_QUANTIZEDNUMBERS_H
