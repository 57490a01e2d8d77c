//===- NarrowTypes.h - numbers of 8, 4 and 2 bits -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Floating-point numbers of 8 and 4 bits and integers of 4 and 2 bits have no
// arithmetic. Lowered tensors hold one in each byte: the bits of a float,
// integers extended to 8 bits.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_NARROWTYPES_H
#define PASSES_CONVERT_LOWER_NARROWTYPES_H

#include "passes/convert/lower/TensorBuilder.h"

namespace mlir::moe {

bool isNarrowFloat(Type type);
bool isNarrowInteger(Type type);

/// The element type of lowered tensors that stands for `type`: without a sign,
/// and i8 for narrow types.
Type getStoredType(Type type);

/// How numbers become narrow ones, as the attributes of Cast say.
struct Narrowing {
  /// Numbers that are too large become the largest one.
  bool saturate = true;
  /// Of powers of two: up, down or nearest.
  StringRef roundMode = "up";
};

/// Converts a stored element. `from` and `to` are the types of the standard.
Value convertElement(TensorBuilder &t, Value element, Type from, Type to,
                     const Narrowing &narrowing = {});

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_NARROWTYPES_H
