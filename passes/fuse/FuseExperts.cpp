//===- FuseExperts.cpp - experts as one grouped operation -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"
#include "passes/fuse/Passes.h"

#include "mlir/IR/Remarks.h"

namespace mlir::moe {
#define GEN_PASS_DEF_FUSEEXPERTS
#include "passes/fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// The order by expert that belongs to a routing.
struct Permutation {
  Value rows, offsets;
};

struct FuseExperts : public moe::impl::FuseExpertsBase<FuseExperts> {
  void runOnOperation() override {
    SmallVector<ExpertsOp> layers;
    SmallVector<UnpackOp> unpacked;
    SmallVector<AssignOp> assigned;
    getOperation()->walk([&](Operation *op) {
      if (auto experts = dyn_cast<ExpertsOp>(op))
        layers.push_back(experts);
      else if (auto unpack = dyn_cast<UnpackOp>(op))
        unpacked.push_back(unpack);
      else if (auto assign = dyn_cast<AssignOp>(op))
        assigned.push_back(assign);
    });
    for (ExpertsOp op : layers)
      if (failed(fuse(op)))
        return signalPassFailure();
    for (UnpackOp op : unpacked)
      resolve(op);
    for (AssignOp op : assigned)
      if (op->use_empty())
        op.erase();
  }

  LogicalResult fuse(ExpertsOp op) {
    auto assign = op.getRouting().getDefiningOp<AssignOp>();
    if (!assign)
      return op.emitOpError()
             << "expected a routing from 'moe.assign' at this stage";
    Permutation &permutation = permutations[assign];
    if (!permutation.rows)
      permutation = getPermutation(assign);
    OpBuilder builder(op);
    auto fused = FusedFFNOp::create(
        builder, op.getLoc(), op.getType(), op.getX(), assign.getWeights(),
        permutation.rows, permutation.offsets, op.getGate(), op.getUp(),
        op.getDown(), op.getGateBias(), op.getUpBias(), op.getDownBias(),
        op.getActivationAttr(), op.getApplyAttr());
    op.replaceAllUsesWith(fused.getResult());
    remark::passed(
        op.getLoc(),
        remark::RemarkOpts::name("experts fused").category("moe-fuse-experts"))
        << remark::metric("experts", assign.getType().getExperts());
    op.erase();
    return success();
  }

  static Permutation getPermutation(AssignOp assign) {
    if (auto router = assign.getIds().getDefiningOp<RoutePermuteOp>())
      return {router.getRows(), router.getOffsets()};
    OpBuilder builder(assign);
    RoutingType routing = assign.getType();
    int64_t tokens = routing.getTokens();
    int64_t count = ShapedType::isDynamic(tokens) ? ShapedType::kDynamic
                                                  : tokens * routing.getSlots();
    Type i32 = builder.getI32Type();
    auto permute = PermuteOp::create(
        builder, assign.getLoc(), RankedTensorType::get({count}, i32),
        RankedTensorType::get({routing.getExperts() + 1}, i32), assign.getIds(),
        routing.getExperts(), assign.getDrops());
    return {permute.getRows(), permute.getOffsets()};
  }

  /// Ids and weights of a routing that is made of them.
  static void resolve(UnpackOp op) {
    auto assign = op.getRouting().getDefiningOp<AssignOp>();
    if (!assign)
      return;
    OpBuilder builder(op);
    Value ids = assign.getIds();
    auto type = cast<RankedTensorType>(op.getIds().getType());
    auto own = cast<RankedTensorType>(ids.getType());
    if (own.getElementType() != type.getElementType()) {
      Type converted = own.clone(type.getElementType());
      if (type.getElementType().isInteger(64))
        ids = arith::ExtSIOp::create(builder, op.getLoc(), converted, ids);
      else
        ids = arith::TruncIOp::create(builder, op.getLoc(), converted, ids);
    }
    auto adapt = [&](Value value, Value old) {
      Type from = getElementTypeOrSelf(value.getType());
      Type to = getElementTypeOrSelf(old.getType());
      Type converted = cast<RankedTensorType>(value.getType()).clone(to);
      if (from.getIntOrFloatBitWidth() < to.getIntOrFloatBitWidth())
        value = arith::ExtFOp::create(builder, op.getLoc(), converted, value);
      else if (from.getIntOrFloatBitWidth() > to.getIntOrFloatBitWidth())
        value = arith::TruncFOp::create(builder, op.getLoc(), converted, value);
      if (value.getType() != old.getType())
        value =
            tensor::CastOp::create(builder, op.getLoc(), old.getType(), value);
      old.replaceAllUsesWith(value);
    };
    adapt(ids, op.getIds());
    adapt(assign.getWeights(), op.getWeights());
    op.erase();
  }

  DenseMap<Operation *, Permutation> permutations;
};

} // namespace
