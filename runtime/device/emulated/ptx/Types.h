//===- Types.h - the scalar types of PTX ------------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_PTX_TYPES_H
#define RUNTIME_DEVICE_EMULATED_PTX_TYPES_H

#include <cstdint>
#include <string>

namespace emulated {

/// The fundamental and packed types that instructions name.
enum class Type : uint8_t {
  None,
  Pred,
  B8,
  U8,
  S8,
  E4M3,
  E5M2,
  B16,
  U16,
  S16,
  F16,
  BF16,
  B32,
  U32,
  S32,
  F32,
  TF32,
  F16x2,
  BF16x2,
  E4M3x2,
  E5M2x2,
  B64,
  U64,
  S64,
  F64,
  F32x2,
  B128,
};

/// The state spaces.
enum class Space : uint8_t {
  Generic,
  Global,
  Constant,
  Shared,
  Local,
  Param,
};

/// Returns the type named `name` (without the dot), or None.
Type parseType(const std::string &name);

/// Returns the size of a value in bytes (a predicate counts 1).
unsigned sizeOf(Type type);

inline bool isSigned(Type type) {
  return type == Type::S8 || type == Type::S16 || type == Type::S32 ||
         type == Type::S64;
}

inline bool isFloat(Type type) {
  switch (type) {
  case Type::F16:
  case Type::BF16:
  case Type::F32:
  case Type::TF32:
  case Type::F16x2:
  case Type::BF16x2:
  case Type::F64:
  case Type::F32x2:
  case Type::E4M3:
  case Type::E5M2:
    return true;
  default:
    return false;
  }
}

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_PTX_TYPES_H
