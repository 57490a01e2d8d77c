//===- Lowering.h - how the lowering of one operator is written -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// `convert-onnx-to-linalg` walks a function in order and looks each operation
// up in a table. A lowering reads the operands with `get`, computes with the
// tensor builder and states the results with `set`; the onnx operations stay
// until all are done, so that types with symbols and constants can be looked
// at.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_LOWERING_H
#define PASSES_CONVERT_LOWER_LOWERING_H

#include "dialects/onnx/ONNXDialect.h"
#include "passes/convert/lower/TensorBuilder.h"

#include "mlir/IR/IRMapping.h"
#include "llvm/ADT/StringMap.h"

#include <functional>

namespace mlir::moe {

/// The type without symbols and signs.
Type getPlainType(Type type);

/// Whether tensors of the two types may have the same shape and elements.
bool areCompatible(Type a, Type b);

class Lowering {
public:
  Lowering(OpBuilder &builder, Operation *op, IRMapping &mapping)
      : tensors(builder, op->getLoc()), mapping(mapping), op(op) {}

  /// The lowered form of an operand; null for one that is left out.
  Value get(Value value) const;
  /// Whether an optional operand or result is there.
  static bool has(Value value) {
    return value && !isa<NoneType>(value.getType());
  }
  /// States a result; does nothing for one that is left out. A shape that
  /// contradicts the type of the result is an error of the operation.
  void set(Value result, Value lowered);
  /// Whether a result did not fit.
  bool hasFailed() const { return isWrong; }

  static RankedTensorType getType(Value value) {
    return cast<RankedTensorType>(value.getType());
  }
  static bool isUnsigned(Value value) {
    return getType(value).getElementType().isUnsignedInteger();
  }
  /// `axis` counted from the front; fails if it is out of range.
  FailureOr<int64_t> getAxis(int64_t axis, int64_t rank) const;

  /// The elements of an integer tensor of rank 0 or 1, as far as possible as
  /// constants. Looks through the operators that exporters compute shapes with.
  /// `length` is their number where the operator states it.
  FailureOr<Sizes> getElements(Value value,
                               std::optional<int64_t> length = std::nullopt);
  /// The same where the lowering needs constants.
  FailureOr<SmallVector<int64_t>> getConstants(Value value, StringRef what);
  /// The only element of a constant floating-point or integer tensor.
  static std::optional<double> getConstantNumber(Value value);
  /// The extents of `result`, static where its type is, else from `sizes`.
  Sizes refine(Value result, ArrayRef<OpFoldResult> sizes);

  /// Dimensions of the result in which two of `values` may broadcast at run
  /// time: their extents are dynamic and bear different symbols.
  SmallVector<int64_t> getUncertainDims(ValueRange values);

  /// Lowers the operations of a nested block, whose arguments must be set, at
  /// the insertion point. Returns what its terminator yields.
  FailureOr<SmallVector<Value>> lowerBody(Block &body);

  InFlightDiagnostic error() const { return op->emitError(); }

  TensorBuilder tensors;
  /// The lowered values.
  IRMapping &mapping;

private:
  std::optional<Sizes> foldElements(Value value, unsigned depth);

  Operation *op;
  bool isWrong = false;
};

/// Lowers one operation, of any dialect.
LogicalResult lowerOperation(Operation *op, OpBuilder &builder,
                             IRMapping &mapping);

/// A transposition; that of a weight only changes its view.
Value permute(TensorBuilder &tensors, Value tensor,
              ArrayRef<int64_t> permutation);

class LoweringTable {
public:
  using Function = std::function<LogicalResult(Operation *, Lowering &)>;

  template <typename Op> void add(LogicalResult (*lower)(Op, Lowering &)) {
    functions[Op::getOperationName()] = [lower](Operation *op, Lowering &l) {
      return lower(cast<Op>(op), l);
    };
  }
  const Function *lookup(Operation *op) const {
    auto entry = functions.find(op->getName().getStringRef());
    return entry == functions.end() ? nullptr : &entry->second;
  }

private:
  llvm::StringMap<Function> functions;
};

// One function for each file of lowerings.
void addActivationLowerings(LoweringTable &table);
void addElementwiseLowerings(LoweringTable &table);
void addReductionLowerings(LoweringTable &table);
void addShapeLowerings(LoweringTable &table);
void addDataMovementLowerings(LoweringTable &table);
void addBatchNormalizationLowerings(LoweringTable &table);
void addControlFlowLowerings(LoweringTable &table);
void addCumulativeLowerings(LoweringTable &table);
void addDeterminantLowering(LoweringTable &table);
void addContractionLowerings(LoweringTable &table);
void addEinsumLowering(LoweringTable &table);
void addNormalizationLowerings(LoweringTable &table);
void addConvolutionLowerings(LoweringTable &table);
void addPoolingLowerings(LoweringTable &table);
void addRecurrentLowerings(LoweringTable &table);
void addResizeLowering(LoweringTable &table);
void addSamplingLowerings(LoweringTable &table);
void addSignalLowerings(LoweringTable &table);
void addNonMaxSuppressionLowering(LoweringTable &table);
void addDeformConvLowerings(LoweringTable &table);
void addQuantizedContractionLowerings(LoweringTable &table);
void addTextFeatureLowerings(LoweringTable &table);
void addSliceLowering(LoweringTable &table);
void addUniqueLowerings(LoweringTable &table);
void addRandomLowerings(LoweringTable &table);
void addTensorScatterLowering(LoweringTable &table);
void addOptimizerLowerings(LoweringTable &table);
void addMatMulNBitsLowering(LoweringTable &table);
void addAttentionLowerings(LoweringTable &table);
void addRotaryLowerings(LoweringTable &table);
void addGroupQueryAttentionLowering(LoweringTable &table);
void addSelectionLowerings(LoweringTable &table);
void addTopKLowering(LoweringTable &table);
void addGatherScatterLowerings(LoweringTable &table);

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_LOWERING_H
