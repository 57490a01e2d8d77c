//===- TensorProtoReader.h - ONNX's file format for one tensor ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_TENSORPROTOREADER_H
#define COMPILER_TOOLS_MOEC_TENSORPROTOREADER_H

#include "compiler/tools/moec/Tensor.h"

/// Reads a serialized TensorProto, or a SequenceProto or OptionalProto with
/// tensors. On failure returns false and says why.
bool parseTensorProtos(const std::string &contents,
                       std::vector<Tensor> &results, std::string &error);

#endif // COMPILER_TOOLS_MOEC_TENSORPROTOREADER_H
