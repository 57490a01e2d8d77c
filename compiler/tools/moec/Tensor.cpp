//===- Tensor.cpp - numbers in memory -------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Tensor.h"

#include "llvm/ADT/APFloat.h"

#include <algorithm>
#include <cstring>

int64_t countElements(moe_dtype_t dtype, const std::vector<int64_t> &dims) {
  if (std::any_of(dims.begin(), dims.end(),
                  [](int64_t dim) { return dim < 0; }))
    return -1;
  if (std::find(dims.begin(), dims.end(), 0) != dims.end())
    return 0;
  int64_t count = 1, bytes;
  for (int64_t dim : dims)
    if (__builtin_mul_overflow(count, dim, &count))
      return -1;
  if (__builtin_mul_overflow(count, static_cast<int64_t>(moe_dtype_size(dtype)),
                             &bytes))
    return -1;
  return count;
}

int64_t countElements(const moe_tensor_t &tensor) {
  int64_t count = 1;
  for (uint32_t i = 0; i < tensor.rank; ++i)
    count *= tensor.dims[i];
  return count;
}

Tensor::Tensor(moe_dtype_t dtype, std::vector<int64_t> dims)
    : dtype(dtype), dims(std::move(dims)),
      bytes(countElements(dtype, this->dims) * moe_dtype_size(dtype)) {}

Tensor::Tensor(const moe_tensor_t &tensor)
    : Tensor(tensor.dtype, {tensor.dims, tensor.dims + tensor.rank}) {
  if (!bytes.empty())
    std::memcpy(bytes.data(), tensor.data, bytes.size());
}

moe_tensor_t Tensor::view() const {
  return {dtype, static_cast<uint32_t>(dims.size()), dims.data(), bytes.data()};
}

std::string describe(const moe_tensor_t &tensor) {
  const char *name = moe_dtype_name(tensor.dtype);
  std::string text = name ? name : "unknown type";
  text += '[';
  for (uint32_t i = 0; i < tensor.rank; ++i)
    text += (i ? " x " : "") + std::to_string(tensor.dims[i]);
  return text + ']';
}

/// The format of a narrow floating-point type; null for others.
static const llvm::fltSemantics *getNarrowFormat(moe_dtype_t dtype) {
  switch (dtype) {
  case MOE_DTYPE_F8E4M3FN:
    return &llvm::APFloat::Float8E4M3FN();
  case MOE_DTYPE_F8E4M3FNUZ:
    return &llvm::APFloat::Float8E4M3FNUZ();
  case MOE_DTYPE_F8E5M2:
    return &llvm::APFloat::Float8E5M2();
  case MOE_DTYPE_F8E5M2FNUZ:
    return &llvm::APFloat::Float8E5M2FNUZ();
  case MOE_DTYPE_F8E8M0FNU:
    return &llvm::APFloat::Float8E8M0FNU();
  case MOE_DTYPE_F4E2M1FN:
    return &llvm::APFloat::Float4E2M1FN();
  default:
    return nullptr;
  }
}

static double readNarrow(const llvm::fltSemantics &format, uint8_t code) {
  unsigned width = llvm::APFloat::getSizeInBits(format);
  llvm::APFloat number(format, llvm::APInt(8, code).trunc(width));
  bool losesInfo;
  number.convert(llvm::APFloat::IEEEdouble(),
                 llvm::APFloat::rmNearestTiesToEven, &losesInfo);
  return number.convertToDouble();
}

template <typename T> static double readAs(const void *data, int64_t index) {
  T value;
  std::memcpy(&value, static_cast<const char *>(data) + index * sizeof(T),
              sizeof(T));
  return static_cast<double>(value);
}

double readElement(const moe_tensor_t &tensor, int64_t index) {
  if (const llvm::fltSemantics *format = getNarrowFormat(tensor.dtype))
    return readNarrow(*format,
                      static_cast<const uint8_t *>(tensor.data)[index]);
  switch (tensor.dtype) {
  case MOE_DTYPE_F32:
    return readAs<float>(tensor.data, index);
  case MOE_DTYPE_F64:
    return readAs<double>(tensor.data, index);
  case MOE_DTYPE_F16:
    return readAs<_Float16>(tensor.data, index);
  case MOE_DTYPE_BF16: {
    uint32_t bits = 0;
    std::memcpy(reinterpret_cast<char *>(&bits) + 2,
                static_cast<const char *>(tensor.data) + index * 2, 2);
    return readAs<float>(&bits, 0);
  }
  case MOE_DTYPE_I8:
  case MOE_DTYPE_I4:
  case MOE_DTYPE_I2:
    return readAs<int8_t>(tensor.data, index);
  case MOE_DTYPE_I16:
    return readAs<int16_t>(tensor.data, index);
  case MOE_DTYPE_I32:
    return readAs<int32_t>(tensor.data, index);
  case MOE_DTYPE_I64:
    return readAs<int64_t>(tensor.data, index);
  case MOE_DTYPE_U8:
  case MOE_DTYPE_U4:
  case MOE_DTYPE_U2:
  case MOE_DTYPE_BOOL:
    return readAs<uint8_t>(tensor.data, index);
  case MOE_DTYPE_U16:
    return readAs<uint16_t>(tensor.data, index);
  case MOE_DTYPE_U32:
    return readAs<uint32_t>(tensor.data, index);
  case MOE_DTYPE_U64:
    return readAs<uint64_t>(tensor.data, index);
  default:
    break;
  }
  return 0;
}

bool isFloat(moe_dtype_t dtype) {
  return dtype == MOE_DTYPE_F32 || dtype == MOE_DTYPE_F64 ||
         dtype == MOE_DTYPE_F16 || dtype == MOE_DTYPE_BF16 ||
         getNarrowFormat(dtype);
}
