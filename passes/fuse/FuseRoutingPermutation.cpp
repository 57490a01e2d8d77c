//===- FuseRoutingPermutation.cpp - router and permutation as one operation -===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"
#include "passes/fuse/Passes.h"

#include "mlir/IR/Remarks.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSEROUTINGPERMUTATION
#include "passes/fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

struct FuseRoutingPermutation
    : public moe::impl::FuseRoutingPermutationBase<FuseRoutingPermutation> {
  void runOnOperation() override {
    SmallVector<RouteOp> routers;
    getOperation()->walk([&](RouteOp op) { routers.push_back(op); });
    for (RouteOp op : routers)
      fuse(op);
  }

  static void fuse(RouteOp op) {
    OpBuilder builder(op);
    RoutingType routing = op.getType();
    int64_t tokens = routing.getTokens(), slots = routing.getSlots();
    bool isDynamic = ShapedType::isDynamic(tokens);
    Type i32 = builder.getI32Type();
    Type element = op.getLogits().getType().getElementType();
    Type types[] = {
        RankedTensorType::get({tokens, slots}, i32),
        RankedTensorType::get({tokens, slots}, element),
        RankedTensorType::get(
            {isDynamic ? ShapedType::kDynamic : tokens * slots}, i32),
        RankedTensorType::get({routing.getExperts() + 1}, i32)};
    // The two operations have the same operands and attributes.
    OperationState state(op.getLoc(), RoutePermuteOp::getOperationName(),
                         op->getOperands(), types, op->getAttrs());
    auto fused = cast<RoutePermuteOp>(builder.create(state));
    Value assigned = AssignOp::create(builder, op.getLoc(), routing,
                                      fused.getIds(), fused.getWeights());
    op.replaceAllUsesWith(assigned);
    remark::passed(op.getLoc(),
                   remark::RemarkOpts::name("routing and permutation fused")
                       .category("moe-fuse-routing-permutation"))
        << remark::metric("experts", routing.getExperts())
        << remark::metric("top_k", slots);
    op.erase();
  }
};

} // namespace
