//===- RowSpaces.h - rows in an order that the graph computes ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_ROWSPACES_H
#define PASSES_CONVERT_RAISE_ROWSPACES_H

#include "passes/convert/raise/DataFlow.h"

namespace mlir::moe {

/// Whether `value` is 0, 1, 2, ...
bool isCounting(Value value);

/// The stable sort of a whole vector whose order `order` is.
onnx::TopKOp getSort(Value order);

/// `value` as a number of rows divided by a constant, rounded down.
std::optional<std::pair<Value, int64_t>> matchQuotient(Value value);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_ROWSPACES_H
