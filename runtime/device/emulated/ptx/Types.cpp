//===- Types.cpp - the scalar types of PTX --------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/ptx/Types.h"

#include <utility>

using namespace emulated;

Type emulated::parseType(const std::string &name) {
  static const std::pair<const char *, Type> kNames[] = {
      {"pred", Type::Pred},     {"b8", Type::B8},
      {"u8", Type::U8},         {"s8", Type::S8},
      {"e4m3", Type::E4M3},     {"e5m2", Type::E5M2},
      {"b16", Type::B16},       {"u16", Type::U16},
      {"s16", Type::S16},       {"f16", Type::F16},
      {"bf16", Type::BF16},     {"b32", Type::B32},
      {"u32", Type::U32},       {"s32", Type::S32},
      {"f32", Type::F32},       {"tf32", Type::TF32},
      {"f16x2", Type::F16x2},   {"bf16x2", Type::BF16x2},
      {"e4m3x2", Type::E4M3x2}, {"e5m2x2", Type::E5M2x2},
      {"b64", Type::B64},       {"u64", Type::U64},
      {"f32x2", Type::F32x2},   {"s64", Type::S64},
      {"f64", Type::F64},       {"b128", Type::B128},
  };
  for (const auto &entry : kNames)
    if (name == entry.first)
      return entry.second;
  return Type::None;
}

unsigned emulated::sizeOf(Type type) {
  switch (type) {
  case Type::None:
    return 0;
  case Type::Pred:
  case Type::B8:
  case Type::U8:
  case Type::S8:
  case Type::E4M3:
  case Type::E5M2:
    return 1;
  case Type::B16:
  case Type::U16:
  case Type::S16:
  case Type::F16:
  case Type::BF16:
  case Type::E4M3x2:
  case Type::E5M2x2:
    return 2;
  case Type::B64:
  case Type::U64:
  case Type::S64:
  case Type::F64:
  case Type::F32x2:
    return 8;
  case Type::B128:
    return 16;
  default:
    return 4;
  }
}
