//===- TensorFile.h - tensors in files ------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_TENSORFILE_H
#define COMPILER_TOOLS_MOEC_TENSORFILE_H

#include "compiler/tools/moec/Tensor.h"

/// Reads a tensor from a `.npy` file or, by the ending `.pb`, from an ONNX
/// TensorProto. On failure returns false and says why, naming the file.
bool readTensorFile(const std::string &path, Tensor &result,
                    std::string &error);

/// The same for a file that may hold a list of tensors.
bool readTensorFiles(const std::string &path, std::vector<Tensor> &results,
                     std::string &error);

/// Writes a `.npy` file.
bool writeNpyFile(const std::string &path, const moe_tensor_t &tensor,
                  std::string &error);

/// Reads a whole file.
bool readFile(const std::string &path, std::string &contents,
              std::string &error);

/// A file name for any text: what might have a meaning in a path becomes %XX.
std::string toFileName(const std::string &text);

#endif // COMPILER_TOOLS_MOEC_TENSORFILE_H
