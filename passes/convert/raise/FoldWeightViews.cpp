//===- FoldWeightViews.cpp - rearranged weights as views --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/onnx/ONNXDialect.h"
#include "passes/convert/Passes.h"
#include "passes/convert/raise/DataFlow.h"
#include "passes/convert/raise/GatherQuantized.h"
#include "passes/convert/raise/QuantizedView.h"
#include "passes/convert/raise/WeightView.h"

#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FOLDWEIGHTVIEWS
#include "passes/convert/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// `position` from the front, within [0, extent].
int64_t clampPosition(int64_t position, int64_t extent) {
  return std::clamp<int64_t>(position < 0 ? position + extent : position, 0,
                             extent);
}

std::optional<WeightView> foldTranspose(onnx::TransposeOp op,
                                        const WeightView &view) {
  SmallVector<int64_t> permutation;
  if (std::optional<ArrayRef<int64_t>> perm = op.getPerm())
    permutation.assign(perm->begin(), perm->end());
  else
    for (int64_t i = view.getRank(); i-- > 0;)
      permutation.push_back(i);
  return view.transpose(permutation);
}

std::optional<WeightView> foldSlice(onnx::SliceOp op, WeightView view) {
  auto starts = getIntegers(op.getStarts()), ends = getIntegers(op.getEnds());
  if (!starts || !ends)
    return std::nullopt;
  SmallVector<int64_t> axes = llvm::to_vector(
      llvm::seq<int64_t>(0, static_cast<int64_t>(starts->size())));
  SmallVector<int64_t> steps(starts->size(), 1);
  if (isPresent(op.getAxes())) {
    auto given = getIntegers(op.getAxes());
    if (!given)
      return std::nullopt;
    axes = *given;
  }
  if (isPresent(op.getSteps())) {
    auto given = getIntegers(op.getSteps());
    if (!given)
      return std::nullopt;
    steps = *given;
  }
  if (axes.size() != starts->size() || ends->size() != starts->size() ||
      steps.size() != starts->size())
    return std::nullopt;
  for (auto [axis, start, end, step] :
       llvm::zip_equal(axes, *starts, *ends, steps)) {
    int64_t dim = axis < 0 ? axis + view.getRank() : axis;
    if (step < 1 || dim < 0 || dim >= view.getRank())
      return std::nullopt;
    int64_t from = clampPosition(start, view.shape[dim]);
    int64_t to = clampPosition(end, view.shape[dim]);
    if (to <= from)
      return std::nullopt;
    std::optional<WeightView> part =
        view.slice(dim, from, llvm::divideCeil(to - from, step), step);
    if (!part)
      return std::nullopt;
    view = *part;
  }
  return view;
}

std::optional<WeightView> foldGather(onnx::GatherOp op,
                                     const WeightView &view) {
  auto indices = getIntegers(op.getIndices());
  auto type = cast<RankedTensorType>(op.getIndices().getType());
  int64_t dim = op.getAxis();
  if (dim < 0)
    dim += view.getRank();
  if (!indices || indices->size() != 1 || type.getRank() > 1)
    return std::nullopt;
  int64_t i = indices->front();
  if (i < 0)
    i += view.shape[dim];
  return type.getRank() == 0 ? view.select(dim, i) : view.slice(dim, i, 1);
}

std::optional<WeightView> foldCast(Operation *op, WeightView view) {
  Type element = getElementTypeOrSelf(op->getResult(0).getType());
  if (!isa<FloatType>(element) || !isa<FloatType>(view.element))
    return std::nullopt;
  // A detour through a narrower type would lose bits that a view keeps.
  if (element.getIntOrFloatBitWidth() < view.element.getIntOrFloatBitWidth() ||
      (element != view.element &&
       element.getIntOrFloatBitWidth() == view.element.getIntOrFloatBitWidth()))
    return std::nullopt;
  view.element = element;
  return view;
}

struct FoldWeightViews
    : public moe::impl::FoldWeightViewsBase<FoldWeightViews> {
  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa<onnx::ONNXDialect>(op->getDialect()) && op->getNumOperands() > 0)
        ops.push_back(op);
    });
    // In order, so that chains fold in one go.
    for (Operation *op : ops)
      if (auto product = dyn_cast<onnx::MicrosoftMatMulNBitsOp>(op)) {
        if (failed(foldProduct(product)))
          return signalPassFailure();
      } else {
        fold(op);
      }
    for (Operation *op : llvm::reverse(ops))
      if (isOpTriviallyDead(op))
        op->erase();
  }

  static void fold(Operation *op) {
    if (auto gather = dyn_cast<onnx::MicrosoftGatherBlockQuantizedOp>(op)) {
      if (failed(expandGather(gather)))
        foldGatherQuantized(gather);
      return;
    }
    if (auto dequantize = dyn_cast<onnx::DequantizeLinearOp>(op))
      if (std::optional<WeightView> weight = getDequantized(dequantize))
        return replace(op->getResult(0), *weight);
    std::optional<WeightView> view = WeightView::get(op->getOperand(0));
    if (!view)
      return;
    if (auto split = dyn_cast<onnx::SplitOp>(op))
      return foldSplit(split, *view);
    std::optional<WeightView> result =
        llvm::TypeSwitch<Operation *, std::optional<WeightView>>(op)
            .Case(
                [&](onnx::TransposeOp op) { return foldTranspose(op, *view); })
            .Case([&](onnx::SliceOp op) { return foldSlice(op, *view); })
            .Case([&](onnx::GatherOp op) { return foldGather(op, *view); })
            .Case<onnx::CastOp, onnx::CastLikeOp>(
                [&](Operation *op) { return foldCast(op, *view); })
            .Case([&](onnx::IdentityOp) { return view; })
            .Case<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp,
                  onnx::FlattenOp>(
                [&](Operation *op) -> std::optional<WeightView> {
                  auto type =
                      cast<RankedTensorType>(op->getResult(0).getType());
                  if (!type.hasStaticShape())
                    return std::nullopt;
                  return view->reshape(type.getShape());
                })
            .Default([](Operation *) { return std::nullopt; });
    if (result)
      replace(op->getResult(0), *result);
  }

  /// Rows of a quantised table.
  static void foldGatherQuantized(onnx::MicrosoftGatherBlockQuantizedOp op) {
    std::optional<WeightView> table = getDequantized(op);
    if (!table)
      return;
    OpBuilder builder(op);
    Value rows = onnx::GatherOp::create(
        builder, op.getLoc(), TypeRange{op.getOutput().getType()},
        ValueRange{table->build(builder, op.getLoc()), op.getIndices()},
        builder.getNamedAttr("axis", op.getGatherAxisAttr()));
    op.getOutput().replaceAllUsesWith(rows);
  }

  /// An ordinary product whose right operand is a quantised weight.
  static LogicalResult foldProduct(onnx::MicrosoftMatMulNBitsOp op) {
    FailureOr<std::optional<WeightView>> weight = getDequantized(op);
    if (failed(weight) || !*weight)
      return weight;
    OpBuilder builder(op);
    Location loc = op.getLoc();
    Type type = op.getY().getType();
    Value product = onnx::MatMulOp::create(builder, loc, type, op.getA(),
                                           (*weight)->build(builder, loc));
    if (isPresent(op.getBias()))
      product = onnx::AddOp::create(builder, loc, type, product, op.getBias());
    op.getY().replaceAllUsesWith(product);
    return success();
  }

  static void foldSplit(onnx::SplitOp op, const WeightView &view) {
    int64_t dim = op.getAxis();
    if (dim < 0)
      dim += view.getRank();
    int64_t start = 0;
    for (Value part : op.getOutputs()) {
      auto type = cast<RankedTensorType>(part.getType());
      if (!type.hasStaticShape())
        return;
      int64_t count = type.getDimSize(dim);
      if (std::optional<WeightView> slice = view.slice(dim, start, count))
        replace(part, *slice);
      start += count;
    }
  }

  static void replace(Value old, const WeightView &view) {
    OpBuilder builder(old.getDefiningOp());
    old.replaceAllUsesWith(view.build(builder, old.getLoc()));
  }
};

} // namespace
