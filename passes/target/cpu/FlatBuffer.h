//===- FlatBuffer.h - buffers as one dimension and offsets ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_FLATBUFFER_H
#define PASSES_TARGET_CPU_FLATBUFFER_H

#include "passes/target/cpu/KernelBuilder.h"

namespace mlir::moe {

/// A buffer seen from its first element, with what it takes to find others.
struct FlatBuffer {
  Value buffer;
  Value offset;
  SmallVector<Value> sizes;
  SmallVector<Value> strides;

  /// Where the entries with the leading `indices` start.
  Value getOffset(KernelBuilder &b, ValueRange indices) const;
};

/// The flat buffers of one operation. Rows whose entries do not lie side by
/// side, which kernels cannot read, are copied.
class BufferScope {
public:
  explicit BufferScope(KernelBuilder &b) : b(b) {}

  /// A buffer that is read, or one that is row-major anyway.
  FlatBuffer flatten(Value buffer);
  /// The same for a buffer that is indexed as one row: a part of a wider matrix
  /// is copied.
  FlatBuffer flattenContiguous(Value buffer);

  /// Rows that are read as numbers of type `element`; others are copied.
  FlatBuffer flattenRows(Value rows, Type element);

  /// A buffer that is read and written.
  FlatBuffer flattenResult(Value buffer);

  /// A buffer as it is, whatever its strides are.
  FlatBuffer describe(Value buffer);

  /// A buffer of `size` elements for the time of the operation.
  Value allocate(Value size, Type element);

  /// Writes results back and releases what was allocated.
  void close();

private:
  Value makeCopy(Value buffer);
  Value allocateRows(Value like, Type element);
  void emitCopy(Value from, Value to);

  KernelBuilder &b;
  SmallVector<Value> copies;
  SmallVector<std::pair<Value, Value>> results;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_FLATBUFFER_H
