//===- ConstantEvaluation.h - values of onnx operations on constants ------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Evaluates onnx operations whose operands are small constants. Elements are
// held as attributes: movement of data need not know their type.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_CONSTANTEVALUATION_H
#define PASSES_CONVERT_CONSTANTEVALUATION_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Operation.h"
#include <optional>

namespace mlir::moe {

/// A constant with more elements than this is left alone.
constexpr int64_t maxFoldedElements = 1024;

/// The elements of one result, row-major.
using Elements = SmallVector<Attribute>;

/// The operands of `op`; null where an operand is left out or not a constant.
using ConstantOperands = ArrayRef<DenseElementsAttr>;

/// The value of `value` if it is an `onnx.Constant` of bounded size, else null.
DenseElementsAttr getSmallConstant(Value value);

/// Reads an integer constant of any shape as a list.
std::optional<SmallVector<int64_t>> getIntegers(DenseElementsAttr constant);

/// The number of the element of an operand of shape `from` that meets the
/// element `linear` of the broadcast shape `to`.
int64_t broadcastIndex(int64_t linear, ArrayRef<int64_t> to,
                       ArrayRef<int64_t> from);

/// Evaluates element-wise arithmetic, comparison, selection and casts.
std::optional<Elements> evaluateElementwise(Operation *op,
                                            ConstantOperands operands,
                                            ShapedType result);

/// Evaluates data movement and construction; one list for each result.
std::optional<SmallVector<Elements>>
evaluateMovement(Operation *op, ConstantOperands operands);

} // namespace mlir::moe

#endif // PASSES_CONVERT_CONSTANTEVALUATION_H
