//===- ElementConversion.h - element types of weights ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_ARTIFACT_ELEMENTCONVERSION_H
#define COMPILER_ARTIFACT_ELEMENTCONVERSION_H

#include <cstddef>
#include <cstdint>

namespace mlir::moe {

/// How a number is stored.
enum class ElementKind {
  F16,
  BF16,
  F32,
  F64,
  I8,
  I16,
  I32,
  I64,
  U8,
  U16,
  U32,
  U64,
  // Narrow kinds are read only, and become f32.
  I2,
  U2,
  I4,
  U4,
  F4E2M1FN,
  F8E4M3FN,
  F8E5M2,
  F8E8M0FNU
};

/// Two or four elements of less than a byte share one, lowest bits first.
unsigned getBitSize(ElementKind kind);
bool isNarrow(ElementKind kind);

/// The bytes of an element that is not narrow.
unsigned getByteSize(ElementKind kind);

/// Reads `count` elements that lie `sourceStride` elements apart and writes
/// them side by side. Float to float rounds to nearest even; a float becomes an
/// integer by truncation towards zero, clamped to its range.
using ConvertFunction = void (*)(const char *source, int64_t sourceStride,
                                 char *target, size_t count);

/// Between kinds that are not narrow.
ConvertFunction getConversion(ElementKind from, ElementKind to);

/// Reads narrow elements number `first`, `first + stride`, ... of those that
/// begin at `source`.
void widenElements(ElementKind from, const char *source, int64_t first,
                   int64_t stride, float *target, size_t count);

} // namespace mlir::moe

#endif // COMPILER_ARTIFACT_ELEMENTCONVERSION_H
