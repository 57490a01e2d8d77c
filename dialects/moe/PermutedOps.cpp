//===- PermutedOps.cpp - level 2 of the moe dialect -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"
#include "dialects/moe/Verification.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult UnpackOp::verify() {
  RoutingType routing = getRouting().getType();
  // unpack_c1
  for (auto [name, value] : {std::make_pair("ids", Value(getIds())),
                             std::make_pair("weights", Value(getWeights()))})
    if (failed(verifyExtents(*this, "number of tokens", name,
                             getExtent(value, 0), "routing",
                             routing.getTokens())) ||
        failed(verifyExtents(*this, "number of slots", name,
                             getExtent(value, 1), "routing",
                             routing.getSlots())))
      return failure();
  return success();
}

/// What was put into a routing comes out of it again.
static LogicalResult foldUnpackOfAssign(UnpackOp op,
                                        PatternRewriter &rewriter) {
  auto assign = op.getRouting().getDefiningOp<AssignOp>();
  if (!assign)
    return rewriter.notifyMatchFailure(op, "the routing is not assigned");
  if (assign.getIds().getType() != op.getIds().getType() ||
      assign.getWeights().getType() != op.getWeights().getType())
    return rewriter.notifyMatchFailure(op, "the types differ");
  rewriter.replaceOp(op, {assign.getIds(), assign.getWeights()});
  return success();
}

void UnpackOp::getCanonicalizationPatterns(RewritePatternSet &patterns,
                                           MLIRContext *) {
  patterns.add(foldUnpackOfAssign);
}

LogicalResult PermuteOp::verify() {
  int64_t tokens = getExtent(getIds(), 0), slots = getExtent(getIds(), 1);
  // permute_c1
  if (ShapedType::isDynamic(slots))
    return emitOpError() << "expected a static number of slots in 'ids', got "
                         << getIds().getType();
  if (!ShapedType::isDynamic(tokens) &&
      failed(verifyExtents(*this, "number of assignments", "ids",
                           tokens * slots, "rows", getExtent(getRows(), 0))))
    return failure();
  // permute_c2
  return verifyExtents(*this, "number of offsets", "experts", getExperts() + 1,
                       "offsets", getExtent(getOffsets(), 0));
}

LogicalResult GroupedMatmulOp::verify() {
  int64_t experts = getExtent(getWeights(), 0);
  // grouped_matmul_c1
  if (!ShapedType::isDynamic(experts) &&
      failed(verifyExtents(*this, "number of offsets", "weights", experts + 1,
                           "offsets", getExtent(getOffsets(), 0))))
    return failure();
  if (getBias() &&
      failed(verifyExtents(*this, "number of experts", "bias",
                           getExtent(getBias(), 0), "weights", experts)))
    return failure();
  // grouped_matmul_c2
  if (failed(verifyExtents(*this, "inner width", "x", getExtent(getX(), 1),
                           "weights", getExtent(getWeights(), 1))) ||
      failed(verifyExtents(*this, "output width", "weights",
                           getExtent(getWeights(), 2), "result",
                           getExtent(getResult(), 1))))
    return failure();
  if (getBias() && failed(verifyExtents(*this, "output width", "bias",
                                        getExtent(getBias(), 1), "result",
                                        getExtent(getResult(), 1))))
    return failure();
  // grouped_matmul_c3
  if (getSlots() < 1)
    return emitOpError() << "expected 'slots' of at least 1, got "
                         << getSlots();
  if (!getRows() && getSlots() != 1)
    return emitOpError() << "expected 'rows' where 'slots' is " << getSlots();
  return success();
}

LogicalResult CombineOp::verify() {
  // combine_c1
  if (failed(verifyExtents(*this, "width", "h", getExtent(getH(), 1), "result",
                           getExtent(getResult(), 1))))
    return failure();
  return verifyExtents(*this, "number of tokens", "weights",
                       getExtent(getWeights(), 0), "result",
                       getExtent(getResult(), 0));
}
