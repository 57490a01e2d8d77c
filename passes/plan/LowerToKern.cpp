//===- LowerToKern.cpp - products of matrices as panel kernels --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/plan/PanelFormat.h"
#include "passes/plan/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERTOKERN
#include "passes/plan/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

bool isKernelFloat(Type type) {
  return type.isF32() || type.isF16() || type.isBF16();
}

RankedTensorType getTensorType(Value value) {
  return cast<RankedTensorType>(value.getType());
}

/// Builds the operations that surround a kernel.
class KernBuilder {
public:
  KernBuilder(PatternRewriter &rewriter, Location loc)
      : rewriter(rewriter), loc(loc) {}

  OpFoldResult getSize(Value tensor, int64_t i) {
    return tensor::getMixedSize(rewriter, loc, tensor, i);
  }

  Value empty(ArrayRef<OpFoldResult> sizes, Type element) {
    return tensor::EmptyOp::create(rewriter, loc, sizes, element);
  }

  /// The panels of one or two stacks of matrices.
  Value pack(ValueRange sources, const PanelFormat &format) {
    RankedTensorType type = getTensorType(sources.front());
    kern::PackedAttr layout = format.layout;
    SmallVector<OpFoldResult> sizes;
    int64_t rank = type.getRank();
    for (int64_t i = 0; i < rank - 2; ++i)
      sizes.push_back(getSize(sources.front(), i));
    OpFoldResult panels =
        divide(getSize(sources.front(), rank - 1), layout.getColumns());
    sizes.push_back(multiply(panels, sources.size()));
    sizes.push_back(
        divide(getSize(sources.front(), rank - 2), layout.getUnitRows()));
    sizes.push_back(rewriter.getIndexAttr(layout.getColumns()));
    sizes.push_back(rewriter.getIndexAttr(layout.getUnitSize()));
    Value init = empty(sizes, format.element);
    return kern::PackOp::create(rewriter, loc, init.getType(), sources, init,
                                layout)
        .getResult(0);
  }

  /// `value` with the element type f32.
  Value toFloat(Value value) {
    if (!value || getTensorType(value).getElementType().isF32())
      return value;
    return convert(value, rewriter.getF32Type());
  }

  Value convert(Value value, Type element) {
    RankedTensorType type = getTensorType(value);
    if (type.getElementType() == element)
      return value;
    Value init = empty(tensor::getMixedSizes(rewriter, loc, value), element);
    AffineMap identity = rewriter.getMultiDimIdentityMap(type.getRank());
    SmallVector<utils::IteratorType> iterators(type.getRank(),
                                               utils::IteratorType::parallel);
    auto body = [&](OpBuilder &builder, Location loc, ValueRange arguments) {
      Value scalar = arguments[0];
      if (element.getIntOrFloatBitWidth() > type.getElementTypeBitWidth())
        scalar = arith::ExtFOp::create(builder, loc, element, scalar);
      else
        scalar = arith::TruncFOp::create(builder, loc, element, scalar);
      linalg::YieldOp::create(builder, loc, scalar);
    };
    return linalg::GenericOp::create(rewriter, loc, init.getType(), value, init,
                                     ArrayRef({identity, identity}), iterators,
                                     body)
        .getResult(0);
  }

private:
  OpFoldResult divide(OpFoldResult extent, int64_t size) {
    if (std::optional<int64_t> known = getConstantIntValue(extent))
      return rewriter.getIndexAttr(llvm::divideCeilSigned(*known, size));
    if (size == 1)
      return extent;
    Value divisor = arith::ConstantIndexOp::create(rewriter, loc, size);
    Value value = getValueOrCreateConstantIndexOp(rewriter, loc, extent);
    return Value(arith::CeilDivUIOp::create(rewriter, loc, value, divisor));
  }

  OpFoldResult multiply(OpFoldResult count, int64_t factor) {
    if (std::optional<int64_t> known = getConstantIntValue(count))
      return rewriter.getIndexAttr(*known * factor);
    Value number = arith::ConstantIndexOp::create(rewriter, loc, factor);
    Value value = getValueOrCreateConstantIndexOp(rewriter, loc, count);
    return Value(arith::MulIOp::create(rewriter, loc, value, number));
  }

  PatternRewriter &rewriter;
  Location loc;
};

/// Whether every entry of `init` is known to be zero.
bool isZero(Value init) {
  auto fill = init.getDefiningOp<linalg::FillOp>();
  return fill && matchPattern(fill.getInputs()[0], m_AnyZeroFloat());
}

/// linalg.matmul and linalg.batch_matmul without transpositions.
template <typename OpTy> struct MatmulPattern : public OpRewritePattern<OpTy> {
  MatmulPattern(MLIRContext *context, Precision precision)
      : OpRewritePattern<OpTy>(context), precision(precision) {}

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    if (!op.hasPureTensorSemantics() || op.hasUserDefinedMaps())
      return rewriter.notifyMatchFailure(op, "not a plain product of tensors");
    Value a = op.getInputs()[0], b = op.getInputs()[1];
    Value init = op.getOutputs()[0];
    if (!isKernelFloat(getTensorType(a).getElementType()) ||
        !isKernelFloat(getTensorType(b).getElementType()) ||
        !getTensorType(init).getElementType().isF32())
      return rewriter.notifyMatchFailure(op, "not a sum in f32");
    KernBuilder builder(rewriter, op.getLoc());
    bool accumulates = !isZero(init);
    if (!accumulates)
      init = builder.empty(tensor::getMixedSizes(rewriter, op.getLoc(), init),
                           rewriter.getF32Type());
    PanelFormat format =
        choosePanelFormat(b, precision, isRouterLogits(op->getResult(0)));
    Value panels = builder.pack(b, format);
    rewriter.replaceOpWithNewOp<kern::PanelGemmOp>(
        op, TypeRange(op.getResultTypes()), a, panels, init, accumulates,
        format.layout.getQuantized());
    return success();
  }

private:
  Precision precision;
};

struct FusedFFNPattern : public OpRewritePattern<FusedFFNOp> {
  FusedFFNPattern(MLIRContext *context, Precision precision)
      : OpRewritePattern(context), precision(precision) {}

  LogicalResult matchAndRewrite(FusedFFNOp op,
                                PatternRewriter &rewriter) const override {
    int64_t slots = getTensorType(op.getWeights()).getDimSize(1);
    if (ShapedType::isDynamic(slots))
      return rewriter.notifyMatchFailure(op, "unknown number of slots");
    KernBuilder builder(rewriter, op.getLoc());
    Type f32 = rewriter.getF32Type();
    bool onInput = op.getApply() == ApplyWeight::Input;
    Value weights = builder.toFloat(op.getWeights());

    SmallVector<Value> projections;
    if (op.getGate())
      projections.push_back(op.getGate());
    projections.push_back(op.getUp());
    PanelFormat hiddenFormat =
        choosePanelFormat(projections, precision, /*isRouter=*/false);
    Value hiddenPanels = builder.pack(projections, hiddenFormat);
    Value hiddenInit = builder.empty(
        {builder.getSize(op.getRows(), 0), builder.getSize(op.getUp(), 2)},
        f32);
    Value hidden =
        kern::ExpertsHiddenOp::create(
            rewriter, op.getLoc(), hiddenInit.getType(), op.getX(),
            op.getRows(), op.getOffsets(), hiddenPanels,
            builder.toFloat(op.getGateBias()), builder.toFloat(op.getUpBias()),
            onInput ? weights : Value(), hiddenInit, op.getActivation(),
            /*gated=*/static_cast<bool>(op.getGate()), slots,
            hiddenFormat.layout.getQuantized())
            .getResult(0);

    PanelFormat downFormat =
        choosePanelFormat(op.getDown(), precision, /*isRouter=*/false);
    Value downPanels = builder.pack(op.getDown(), downFormat);
    Value resultInit = builder.empty(
        {builder.getSize(op.getX(), 0), builder.getSize(op.getDown(), 2)}, f32);
    Value result =
        kern::ExpertsCombineOp::create(
            rewriter, op.getLoc(), resultInit.getType(), hidden, op.getRows(),
            op.getOffsets(), downPanels, builder.toFloat(op.getDownBias()),
            onInput ? Value() : weights, resultInit, slots,
            downFormat.layout.getQuantized())
            .getResult(0);
    result =
        builder.convert(result, getTensorType(op.getResult()).getElementType());
    if (result.getType() != op.getType())
      result =
          tensor::CastOp::create(rewriter, op.getLoc(), op.getType(), result);
    rewriter.replaceOp(op, result);
    return success();
  }

private:
  Precision precision;
};

/// A product in groups is the first half of experts without a function.
struct GroupedMatmulPattern : public OpRewritePattern<GroupedMatmulOp> {
  GroupedMatmulPattern(MLIRContext *context, Precision precision)
      : OpRewritePattern(context), precision(precision) {}

  LogicalResult matchAndRewrite(GroupedMatmulOp op,
                                PatternRewriter &rewriter) const override {
    if (!op.getRows())
      return rewriter.notifyMatchFailure(op, "rows in their own order");
    KernBuilder builder(rewriter, op.getLoc());
    PanelFormat format =
        choosePanelFormat(op.getWeights(), precision, /*isRouter=*/false);
    Value panels = builder.pack(op.getWeights(), format);
    Value init = builder.empty(
        {builder.getSize(op.getRows(), 0), builder.getSize(op.getWeights(), 2)},
        rewriter.getF32Type());
    auto identity =
        ActivationAttr::get(rewriter.getContext(), ActivationKind::Identity);
    Value result =
        kern::ExpertsHiddenOp::create(
            rewriter, op.getLoc(), init.getType(), op.getX(), op.getRows(),
            op.getOffsets(), panels, /*gate_bias=*/Value(),
            builder.toFloat(op.getBias()), /*weights=*/Value(), init, identity,
            /*gated=*/false, op.getSlots(), format.layout.getQuantized())
            .getResult(0);
    result =
        builder.convert(result, getTensorType(op.getResult()).getElementType());
    if (result.getType() != op.getType())
      result =
          tensor::CastOp::create(rewriter, op.getLoc(), op.getType(), result);
    rewriter.replaceOp(op, result);
    return success();
  }

private:
  Precision precision;
};

struct LowerToKern : public moe::impl::LowerToKernBase<LowerToKern> {
  using LowerToKernBase::LowerToKernBase;

  void runOnOperation() override {
    std::optional<WeightPrecision> numbers = parseWeightPrecision(weights);
    std::optional<RowRounding> rounding = parseRowRounding(activations);
    if (!numbers || !rounding) {
      getOperation()->emitError()
          << "expected weights keep, bf16, int8 or int4 and activations keep, "
             "model or int8, got '"
          << weights << "' and '" << activations << "'";
      return signalPassFailure();
    }
    Precision precision{*numbers, *rounding};
    RewritePatternSet patterns(&getContext());
    patterns.add<MatmulPattern<linalg::MatmulOp>,
                 MatmulPattern<linalg::BatchMatmulOp>, FusedFFNPattern,
                 GroupedMatmulPattern>(&getContext(), precision);
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    getOperation()->walk([](linalg::LinalgOp op) {
      if (isa<linalg::MatmulOp, linalg::BatchMatmulOp>(op.getOperation()))
        remark::missed(op.getLoc(),
                       remark::RemarkOpts::name("product left to plain loops")
                           .category("moe-lower-to-kern"))
            << remark::reason("expected f32, f16 or bf16 and a sum in f32, "
                              "got {0} and {1}",
                              op->getOperand(0).getType(),
                              op.getDpsInits()[0].getType());
    });
  }
};

} // namespace
