//===- Tensor.h - numbers in memory ---------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_TENSOR_H
#define COMPILER_TOOLS_MOEC_TENSOR_H

#include "runtime/moe_runtime.h"

#include <string>
#include <vector>

/// A tensor that owns its numbers.
struct Tensor {
  moe_dtype_t dtype = MOE_DTYPE_F32;
  std::vector<int64_t> dims;
  std::vector<char> bytes;

  Tensor() = default;
  /// Zeros. The number of elements must fit into memory.
  Tensor(moe_dtype_t dtype, std::vector<int64_t> dims);
  /// A copy.
  explicit Tensor(const moe_tensor_t &tensor);

  /// Valid as long as this tensor.
  moe_tensor_t view() const;
};

/// The number of elements, or -1 if their bytes exceed 63 bits or an extent is
/// negative.
int64_t countElements(moe_dtype_t dtype, const std::vector<int64_t> &dims);

int64_t countElements(const moe_tensor_t &tensor);

/// Such as "f32[2 x 8]".
std::string describe(const moe_tensor_t &tensor);

/// Element `index` as a number.
double readElement(const moe_tensor_t &tensor, int64_t index);

bool isFloat(moe_dtype_t dtype);

#endif // COMPILER_TOOLS_MOEC_TENSOR_H
