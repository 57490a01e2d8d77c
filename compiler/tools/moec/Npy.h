//===- Npy.h - NumPy's file format for one array --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_NPY_H
#define COMPILER_TOOLS_MOEC_NPY_H

#include "compiler/tools/moec/Tensor.h"

/// Reads the contents of a `.npy` file (versions 1 to 3, little-endian, C
/// order; `V2` is bf16). On failure returns false and says why in `error`.
bool parseNpy(const std::string &contents, Tensor &result, std::string &error);

/// The contents of a `.npy` file.
std::string formatNpy(const moe_tensor_t &tensor);

#endif // COMPILER_TOOLS_MOEC_NPY_H
