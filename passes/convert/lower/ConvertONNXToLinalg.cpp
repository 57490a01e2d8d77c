//===- ConvertONNXToLinalg.cpp - onnx operators as linalg -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"
#include "passes/convert/Passes.h"
#include "passes/convert/lower/Lowering.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Math/IR/Math.h"

namespace mlir::moe {
#define GEN_PASS_DEF_CONVERTONNXTOLINALG
#include "passes/convert/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

const LoweringTable &getTable() {
  static const LoweringTable table = [] {
    LoweringTable result;
    addActivationLowerings(result);
    addElementwiseLowerings(result);
    addReductionLowerings(result);
    addShapeLowerings(result);
    addDataMovementLowerings(result);
    addControlFlowLowerings(result);
    addContractionLowerings(result);
    addNormalizationLowerings(result);
    addBatchNormalizationLowerings(result);
    addAttentionLowerings(result);
    addConvolutionLowerings(result);
    addPoolingLowerings(result);
    addRecurrentLowerings(result);
    addResizeLowering(result);
    addSamplingLowerings(result);
    addSignalLowerings(result);
    addNonMaxSuppressionLowering(result);
    addDeformConvLowerings(result);
    addQuantizedContractionLowerings(result);
    addTextFeatureLowerings(result);
    addSliceLowering(result);
    addUniqueLowerings(result);
    addRandomLowerings(result);
    addTensorScatterLowering(result);
    addOptimizerLowerings(result);
    addMatMulNBitsLowering(result);
    addSelectionLowerings(result);
    addCumulativeLowerings(result);
    addDeterminantLowering(result);
    addGatherScatterLowerings(result);
    return result;
  }();
  return table;
}

/// Attribute of arguments and results: the element type that the model states,
/// where another one stands for it (`ui8` is stored as `i8`).
constexpr llvm::StringLiteral kTypeAttr = "moe.type";

bool isONNX(Operation *op) {
  return isa_and_present<onnx::ONNXDialect>(op->getDialect());
}

struct ConvertONNXToLinalg
    : public moe::impl::ConvertONNXToLinalgBase<ConvertONNXToLinalg> {
  void runOnOperation() override {
    if (failed(listUnsupported()))
      return signalPassFailure();
    for (auto function : getOperation().getOps<func::FuncOp>())
      if (!function.isExternal() && failed(convert(function)))
        return signalPassFailure();
  }

  /// All that is missing is named at once.
  LogicalResult listUnsupported() {
    bool supported = true;
    getOperation().walk([&](Operation *op) {
      if (!isONNX(op) || getTable().lookup(op) ||
          isa<onnx::NoValueOp, onnx::YieldOp>(op))
        return;
      op->emitError() << "operator '" << op->getName().stripDialect()
                      << "' is not supported by the compiler";
      supported = false;
    });
    return success(supported);
  }

  LogicalResult convert(func::FuncOp function) {
    Block &body = function.front();
    OpBuilder builder(&getContext());
    builder.setInsertionPointToStart(&body);
    IRMapping mapping;
    // New arguments stand beside the old ones until the end.
    unsigned count = body.getNumArguments();
    for (unsigned i = 0; i < count; ++i) {
      Value old = body.getArgument(i);
      mapping.map(old,
                  body.addArgument(getPlainType(old.getType()), old.getLoc()));
    }
    SmallVector<Operation *> originals;
    for (Operation &op : body)
      originals.push_back(&op);
    for (Operation *op : originals) {
      builder.setInsertionPoint(op);
      if (failed(lowerOperation(op, builder, mapping)))
        return failure();
    }
    for (Operation *op : llvm::reverse(originals))
      op->erase();
    recordSignature(function);
    body.eraseArguments(0, count);
    auto terminator = cast<func::ReturnOp>(body.getTerminator());
    function.setFunctionType(FunctionType::get(
        &getContext(), body.getArgumentTypes(), terminator.getOperandTypes()));
    return success();
  }

  /// What types lose goes to attributes: names of dynamic dimensions, and
  /// element types that are stored as others.
  void recordSignature(func::FuncOp function) {
    FunctionType type = function.getFunctionType();
    for (auto [i, input] : llvm::enumerate(type.getInputs())) {
      if (ArrayAttr names = getNames(input, {}))
        function.setArgAttr(i, MoEDialect::kDimsAttr, names);
      if (TypeAttr element = getLostElement(input))
        function.setArgAttr(i, kTypeAttr, element);
    }
    for (auto [i, result] : llvm::enumerate(type.getResults())) {
      auto stated =
          function.getResultAttrOfType<ArrayAttr>(i, MoEDialect::kDimsAttr);
      if (ArrayAttr names = getNames(result, stated))
        function.setResultAttr(i, MoEDialect::kDimsAttr, names);
      if (TypeAttr element = getLostElement(result))
        function.setResultAttr(i, kTypeAttr, element);
    }
  }

  /// The symbols of `type`; where it has none, what is `stated`.
  static ArrayAttr getNames(Type type, ArrayAttr stated) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    auto dims = tensor ? dyn_cast_or_null<onnx::DimsAttr>(tensor.getEncoding())
                       : onnx::DimsAttr();
    if (!dims)
      return stated;
    SmallVector<Attribute> names;
    for (auto [i, symbol] : llvm::enumerate(dims.getSymbols()))
      names.push_back(symbol.empty() && stated ? stated[i] : Attribute(symbol));
    return ArrayAttr::get(type.getContext(), names);
  }

  static TypeAttr getLostElement(Type type) {
    auto tensor = dyn_cast<RankedTensorType>(type);
    if (!tensor ||
        getPlainType(tensor) ==
            RankedTensorType::get(tensor.getShape(), tensor.getElementType()))
      return {};
    return TypeAttr::get(tensor.getElementType());
  }
};

} // namespace

LogicalResult moe::lowerOperation(Operation *op, OpBuilder &builder,
                                  IRMapping &mapping) {
  if (isa<onnx::NoValueOp>(op))
    return success();
  if (isONNX(op)) {
    Lowering lowering(builder, op, mapping);
    LogicalResult result = (*getTable().lookup(op))(op, lowering);
    return failure(failed(result) || lowering.hasFailed());
  }
  // Operations of other dialects stay, on plain types.
  Operation *copy = builder.clone(*op, mapping);
  for (Value result : copy->getResults())
    result.setType(getPlainType(result.getType()));
  return success();
}
