//===- GatherQuantized.h - rows of quantised tables -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_GATHERQUANTIZED_H
#define PASSES_CONVERT_RAISE_GATHERQUANTIZED_H

#include "dialects/onnx/ONNXDialect.h"

namespace mlir::moe {

/// Replaces `op` by the standard's operators, which dequantise the rows that
/// are chosen, so that the table keeps its size. Fails for what is not a matrix
/// of bytes whose rows are chosen and quantised in blocks.
LogicalResult expandGather(onnx::MicrosoftGatherBlockQuantizedOp op);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_GATHERQUANTIZED_H
