//===- ExpandBF16.cpp - conversions of bf16 by integer arithmetic -----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/Passes.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {
#define GEN_PASS_DEF_EXPANDBF16
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// `element`, or a vector of it where `like` is a vector.
Type getTypeLike(Type like, Type element) {
  auto vector = dyn_cast<VectorType>(like);
  return vector ? vector.clone(element) : element;
}

Value getConstant(ImplicitLocOpBuilder &b, Type type, int64_t value) {
  TypedAttr attribute = b.getIntegerAttr(getElementTypeOrSelf(type), value);
  if (auto vector = dyn_cast<VectorType>(type))
    attribute = SplatElementsAttr::get(vector, attribute);
  return arith::ConstantOp::create(b, attribute);
}

/// The upper half of an f32 with the same value.
struct ExpandExtension : public OpRewritePattern<arith::ExtFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::ExtFOp op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (!getElementTypeOrSelf(op.getIn().getType()).isBF16() ||
        !getElementTypeOrSelf(type).isF32())
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type i16 = getTypeLike(type, b.getI16Type());
    Type i32 = getTypeLike(type, b.getI32Type());
    Value half = arith::BitcastOp::create(b, i16, op.getIn());
    Value bits = arith::ExtUIOp::create(b, i32, half);
    bits = arith::ShLIOp::create(b, bits, getConstant(b, i32, 16));
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, type, bits);
    return success();
  }
};

/// Rounds to nearest, ties to even; a NaN stays one.
struct ExpandTruncation : public OpRewritePattern<arith::TruncFOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::TruncFOp op,
                                PatternRewriter &rewriter) const override {
    Value in = op.getIn();
    Type type = in.getType();
    if (!getElementTypeOrSelf(type).isF32() ||
        !getElementTypeOrSelf(op.getType()).isBF16())
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type i16 = getTypeLike(type, b.getI16Type());
    Type i32 = getTypeLike(type, b.getI32Type());
    Value isNaN = arith::CmpFOp::create(b, arith::CmpFPredicate::UNO, in, in);
    Value bits = arith::BitcastOp::create(b, i32, in);
    Value sixteen = getConstant(b, i32, 16);
    Value last = arith::ShRUIOp::create(b, bits, sixteen);
    last = arith::AndIOp::create(b, last, getConstant(b, i32, 1));
    Value rounding =
        arith::AddIOp::create(b, last, getConstant(b, i32, 0x7FFF));
    Value rounded = arith::AddIOp::create(b, bits, rounding);
    // The choice is made here and not at the end, where LLVM would turn it into
    // one between numbers of bf16, which takes a call of a run-time library.
    Value quiet = arith::OrIOp::create(b, bits, getConstant(b, i32, 0x400000));
    Value chosen = arith::SelectOp::create(b, isNaN, quiet, rounded);
    chosen = arith::ShRUIOp::create(b, chosen, sixteen);
    Value half = arith::TruncIOp::create(b, i16, chosen);
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, op.getType(), half);
    return success();
  }
};

/// A choice between numbers of bf16 takes the same call.
struct ExpandSelection : public OpRewritePattern<arith::SelectOp> {
  using OpRewritePattern::OpRewritePattern;

  LogicalResult matchAndRewrite(arith::SelectOp op,
                                PatternRewriter &rewriter) const override {
    Type type = op.getType();
    if (!getElementTypeOrSelf(type).isBF16() ||
        isa<ShapedType>(type) != isa<VectorType>(type))
      return failure();
    ImplicitLocOpBuilder b(op.getLoc(), rewriter);
    Type i16 = getTypeLike(type, b.getI16Type());
    Value yes = arith::BitcastOp::create(b, i16, op.getTrueValue());
    Value no = arith::BitcastOp::create(b, i16, op.getFalseValue());
    Value bits = arith::SelectOp::create(b, op.getCondition(), yes, no);
    rewriter.replaceOpWithNewOp<arith::BitcastOp>(op, type, bits);
    return success();
  }
};

struct ExpandBF16 : public moe::impl::ExpandBF16Base<ExpandBF16> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandExtension, ExpandTruncation, ExpandSelection>(
        &getContext());
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      signalPassFailure();
  }
};

} // namespace
