//===- PlaceExperts.cpp - exchanges around the experts of a rank -----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/DescribeModel.h"
#include "passes/plan/OverlapExchange.h"
#include "passes/plan/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PLACEEXPERTS
#include "passes/plan/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Puts the experts of one layer between a dispatch and a combine.
class LayerPlacer {
public:
  LayerPlacer(FusedFFNOp op, Value ids, int64_t layer, PlacementAttr placement)
      : op(op), b(op.getLoc(), op), ids(ids), layer(layer),
        placement(placement) {}

  void run() {
    Value ids32 = convert(ids, b.getI32Type());
    Value x = op.getX(), weights = convert(op.getWeights(), b.getF32Type());
    Value count = ExchangeBeginOp::create(b, ids32, layer, placement);
    SmallVector<Value> inits = {makeRows(count, x), makeRows(count, ids32),
                                makeRows(count, weights)};
    auto received = ExchangeDispatchOp::create(b, ValueRange(inits).getTypes(),
                                               x, weights, inits, layer);
    ValueRange rows = received.getResults();

    int64_t experts = getType(op.getUp()).getDimSize(0);
    Type i32 = b.getI32Type();
    auto order = PermuteOp::create(
        b, RankedTensorType::get({ShapedType::kDynamic}, i32),
        RankedTensorType::get({experts + 1}, i32), rows[1], experts,
        /*drops=*/true);
    int64_t width = getType(op.getResult()).getDimSize(1);
    auto sumsType =
        RankedTensorType::get({ShapedType::kDynamic, width}, b.getF32Type());
    Value sums = FusedFFNOp::create(
        b, sumsType, rows[0], rows[2], order.getRows(), order.getOffsets(),
        op.getGate(), op.getUp(), op.getDown(), op.getGateBias(),
        op.getUpBias(), op.getDownBias(), op.getActivation(), op.getApply());

    Value tokens = tensor::DimOp::create(b, x, 0);
    Value init = tensor::EmptyOp::create(b, sumsType, ValueRange{tokens});
    auto combine = ExchangeCombineOp::create(b, TypeRange(sumsType), sums, init,
                                             layer, /*overlapped=*/false);
    Value result = combine.getResult(0);
    if (Operation *end = overlapExchange(op, count.getDefiningOp())) {
      combine.setOverlapped(true);
      b.setInsertionPoint(end);
      result =
          ExchangeWaitOp::create(b, TypeRange(sumsType), sums, result, layer)
              .getResult(0);
    }
    result = convert(result, getType(op.getResult()).getElementType());
    if (result.getType() != op.getType())
      result = tensor::CastOp::create(b, op.getType(), result);
    op.getResult().replaceAllUsesWith(result);
    // Ranks need the numbers of their own experts only.
    for (Value stack : {op.getGate(), op.getUp(), op.getDown()})
      if (auto weight = stack ? stack.getDefiningOp<WeightOp>() : WeightOp())
        weight->setDiscardableAttr(MoEDialect::kExpertLayerAttr,
                                   b.getI64IntegerAttr(layer));
    op.erase();
  }

private:
  static RankedTensorType getType(Value value) {
    return cast<RankedTensorType>(value.getType());
  }

  /// Uninitialised rows like those of `like`.
  Value makeRows(Value count, Value like) {
    RankedTensorType type = getType(like);
    return tensor::EmptyOp::create(
        b,
        RankedTensorType::get({ShapedType::kDynamic, type.getDimSize(1)},
                              type.getElementType()),
        ValueRange{count});
  }

  Value convert(Value value, Type element) {
    RankedTensorType type = getType(value);
    if (type.getElementType() == element)
      return value;
    Type to = type.clone(element);
    if (isa<IntegerType>(element))
      return arith::TruncIOp::create(b, to, value);
    if (type.getElementTypeBitWidth() < element.getIntOrFloatBitWidth())
      return arith::ExtFOp::create(b, to, value);
    return arith::TruncFOp::create(b, to, value);
  }

  FusedFFNOp op;
  ImplicitLocOpBuilder b;
  Value ids;
  int64_t layer;
  PlacementAttr placement;
};

struct PlaceExperts : public moe::impl::PlaceExpertsBase<PlaceExperts> {
  void runOnOperation() override {
    for (auto [layer, op] : llvm::enumerate(getExpertLayers(getOperation()))) {
      auto placement =
          op->getAttrOfType<PlacementAttr>(MoEDialect::kPlacementAttr);
      if (!placement)
        continue;
      size_t experts = cast<ShapedType>(op.getUp().getType()).getDimSize(0);
      if (placement.getExperts().size() != experts) {
        op.emitOpError() << "expected a place for each of " << experts
                         << " experts, got " << placement.getExperts().size();
        return signalPassFailure();
      }
      Value ids = getExpertIds(op);
      if (!ids) {
        op.emitOpError() << "expected rows in the order of moe.permute or "
                            "moe.route_permute, which tells the experts of a "
                            "token";
        return signalPassFailure();
      }
      LayerPlacer(op, ids, layer, placement).run();
    }
  }
};

} // namespace
