//===- FuseElementwise.cpp - fusion of element-wise chains ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/fuse/Passes.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/Transforms/Transforms.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSEELEMENTWISE
#include "passes/fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Whether `op` is a product of matrices or the like, for which there are
/// kernels: it must keep its name and its rank.
bool isContraction(Operation *op) {
  return op && isa<linalg::ContractionOpInterface>(op) &&
         !isa<linalg::GenericOp>(op);
}

/// Whether the producer of `operand` has no other user: fused, it is gone.
bool hasOneUse(OpOperand *operand) {
  Operation *producer = operand->get().getDefiningOp();
  return producer && producer->hasOneUse();
}

struct FuseElementwise
    : public moe::impl::FuseElementwiseBase<FuseElementwise> {
  void runOnOperation() override {
    MLIRContext *context = &getContext();
    RewritePatternSet patterns(context);
    auto canMoveReshape = [](OpOperand *operand) {
      return hasOneUse(operand) && !isContraction(operand->getOwner()) &&
             !isContraction(operand->get().getDefiningOp());
    };
    linalg::populateElementwiseOpsFusionPatterns(patterns, hasOneUse);
    linalg::populateFoldReshapeOpsByExpansionPatterns(patterns, canMoveReshape);
    linalg::populateConstantFoldLinalgOperations(patterns, hasOneUse);
    affine::AffineApplyOp::getCanonicalizationPatterns(patterns, context);
    linalg::GenericOp::getCanonicalizationPatterns(patterns, context);
    tensor::ExpandShapeOp::getCanonicalizationPatterns(patterns, context);
    tensor::CollapseShapeOp::getCanonicalizationPatterns(patterns, context);
    context->getLoadedDialect<linalg::LinalgDialect>()
        ->getCanonicalizationPatterns(patterns);
    // To stop before a fixed point is no failure: every step is right by
    // itself.
    (void)applyPatternsGreedily(getOperation(), std::move(patterns),
                                GreedyRewriteConfig().setUseTopDownTraversal());
  }
};

} // namespace
