//===- FoldConstants.cpp - folds onnx operations on small constants -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/ConstantEvaluation.h"
#include "passes/convert/Passes.h"

#include "dialects/onnx/ONNXDialect.h"
#include "mlir/IR/PatternMatch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FOLDONNXCONSTANTS
#include "passes/convert/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

DenseElementsAttr moe::getSmallConstant(Value value) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  if (!constant)
    return {};
  auto elements = dyn_cast<DenseElementsAttr>(constant.getValue());
  if (!elements || elements.getNumElements() > maxFoldedElements)
    return {};
  return elements;
}

std::optional<SmallVector<int64_t>>
moe::getIntegers(DenseElementsAttr constant) {
  if (!constant || !isa<IntegerType>(constant.getElementType()) ||
      constant.getElementType().getIntOrFloatBitWidth() > 64)
    return std::nullopt;
  bool isUnsigned = constant.getElementType().isUnsignedInteger() ||
                    constant.getElementType().isInteger(1);
  SmallVector<int64_t> values;
  for (const APInt &value : constant.getValues<APInt>())
    values.push_back(isUnsigned ? value.getZExtValue() : value.getSExtValue());
  return values;
}

namespace {

/// A Shape of the axes [start, end) of what `shape` reads.
onnx::ShapeOp createShapeOfAxes(IRRewriter &rewriter, onnx::ShapeOp shape,
                                int64_t start, int64_t end) {
  auto type = RankedTensorType::get(
      {end - start}, cast<ShapedType>(shape.getType()).getElementType());
  return onnx::ShapeOp::create(rewriter, shape.getLoc(), type, shape.getData(),
                               rewriter.getI64IntegerAttr(end),
                               rewriter.getI64IntegerAttr(start));
}

/// The range of axes that `shape` reads.
std::pair<int64_t, int64_t> getAxes(onnx::ShapeOp shape) {
  int64_t rank = cast<ShapedType>(shape.getData().getType()).getRank();
  auto clamp = [&](int64_t index) {
    return std::clamp<int64_t>(index < 0 ? index + rank : index, 0, rank);
  };
  int64_t start = clamp(shape.getStart());
  int64_t end = shape.getEnd() ? clamp(*shape.getEnd()) : rank;
  return {start, std::max(start, end)};
}

/// Narrows `Slice(Shape(x))` to a Shape that reads fewer axes: the axes left
/// are often static although the whole shape is not.
onnx::ShapeOp narrowSlice(IRRewriter &rewriter, onnx::SliceOp slice) {
  auto shape = slice.getData().getDefiningOp<onnx::ShapeOp>();
  auto starts = getIntegers(getSmallConstant(slice.getStarts()));
  auto ends = getIntegers(getSmallConstant(slice.getEnds()));
  if (!shape || !starts || !ends || starts->size() != 1 || ends->size() != 1)
    return {};
  if (!isa<NoneType>(slice.getSteps().getType())) {
    auto steps = getIntegers(getSmallConstant(slice.getSteps()));
    if (!steps || *steps != ArrayRef<int64_t>{1})
      return {};
  }
  auto [first, last] = getAxes(shape);
  int64_t count = last - first;
  auto clamp = [&](int64_t index) {
    return std::clamp<int64_t>(index < 0 ? index + count : index, 0, count);
  };
  int64_t start = clamp(starts->front()), end = clamp(ends->front());
  return end > start
             ? createShapeOfAxes(rewriter, shape, first + start, first + end)
             : onnx::ShapeOp();
}

/// Narrows `Gather(Shape(x), i)` in the same way; a scalar index leaves a
/// Squeeze of a Shape of one axis.
Operation *narrowGather(IRRewriter &rewriter, onnx::GatherOp gather) {
  auto shape = gather.getData().getDefiningOp<onnx::ShapeOp>();
  auto indices = getIntegers(getSmallConstant(gather.getIndices()));
  if (!shape || !indices || indices->size() != 1)
    return {};
  auto [first, last] = getAxes(shape);
  int64_t index = indices->front();
  if (index < 0)
    index += last - first;
  auto type = cast<ShapedType>(gather.getType());
  if (index < 0 || index >= last - first || type.getRank() > 1)
    return {};
  auto axis =
      createShapeOfAxes(rewriter, shape, first + index, first + index + 1);
  if (type.getRank() == 1)
    return axis;
  Value none = onnx::NoValueOp::create(rewriter, gather.getLoc(),
                                       rewriter.getNoneType());
  return onnx::SqueezeOp::create(rewriter, gather.getLoc(), type, axis, none);
}

/// Folds one operation after another, in order.
class Folder {
public:
  explicit Folder(MLIRContext *context) : rewriter(context) {}

  void fold(Operation *op) {
    visited.push_back(op);
    rewriter.setInsertionPoint(op);
    Operation *narrowed = nullptr;
    if (auto slice = dyn_cast<onnx::SliceOp>(op))
      narrowed = narrowSlice(rewriter, slice);
    else if (auto gather = dyn_cast<onnx::GatherOp>(op))
      narrowed = narrowGather(rewriter, gather);
    if (narrowed &&
        narrowed->getResult(0).getType() == op->getResult(0).getType()) {
      if (isa<onnx::SqueezeOp>(narrowed)) {
        Operation *shape = narrowed->getOperand(0).getDefiningOp();
        visited.append({shape, narrowed->getOperand(1).getDefiningOp()});
        replaceByConstants(shape);
      }
      rewriter.replaceAllUsesWith(op->getResult(0), narrowed->getResult(0));
      visited.push_back(narrowed);
      op = narrowed;
    }
    replaceByConstants(op);
  }

  /// Removes what has no user any more; users come after what they use.
  void eraseDead() {
    for (Operation *op : llvm::reverse(visited))
      if (isOpTriviallyDead(op))
        rewriter.eraseOp(op);
  }

private:
  void replaceByConstants(Operation *op) {
    if (isa<onnx::ConstantOp>(op) || op->getNumRegions() != 0 ||
        op->getNumResults() == 0)
      return;
    for (Type result : op->getResultTypes()) {
      auto type = dyn_cast<RankedTensorType>(result);
      if (!type || !type.hasStaticShape() ||
          type.getNumElements() > maxFoldedElements)
        return;
    }
    SmallVector<DenseElementsAttr> operands =
        llvm::map_to_vector(op->getOperands(), getSmallConstant);
    std::optional<SmallVector<Elements>> values =
        evaluateMovement(op, operands);
    if (!values && op->getNumResults() == 1)
      if (std::optional<Elements> elements = evaluateElementwise(
              op, operands, cast<ShapedType>(op->getResult(0).getType())))
        values = SmallVector<Elements>{std::move(*elements)};
    if (!values || !haveTypes(op->getResultTypes(), *values))
      return;
    rewriter.setInsertionPoint(op);
    for (auto [result, elements] : llvm::zip_equal(op->getResults(), *values)) {
      auto type = cast<RankedTensorType>(result.getType());
      auto value = DenseElementsAttr::get(
          RankedTensorType::get(type.getShape(), type.getElementType()),
          elements);
      auto constant =
          onnx::ConstantOp::create(rewriter, op->getLoc(), type, value);
      rewriter.replaceAllUsesWith(result, constant);
      visited.push_back(constant);
    }
  }

  static bool haveTypes(TypeRange types, ArrayRef<Elements> values) {
    for (auto [type, elements] : llvm::zip_equal(types, values))
      for (Attribute element : elements)
        if (cast<TypedAttr>(element).getType() !=
            cast<ShapedType>(type).getElementType())
          return false;
    return true;
  }

  IRRewriter rewriter;
  SmallVector<Operation *> visited;
};

struct FoldOnnxConstants
    : public moe::impl::FoldOnnxConstantsBase<FoldOnnxConstants> {
  void runOnOperation() override {
    SmallVector<Operation *> operations;
    getOperation()->walk<WalkOrder::PreOrder>([&](Operation *op) {
      if (isa_and_present<onnx::ONNXDialect>(op->getDialect()))
        operations.push_back(op);
    });
    Folder folder(&getContext());
    for (Operation *op : operations)
      folder.fold(op);
    folder.eraseDead();
  }
};

} // namespace
