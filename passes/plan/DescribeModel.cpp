//===- DescribeModel.cpp - the expert layers of a module --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/DescribeModel.h"

#include "llvm/ADT/DenseSet.h"

using namespace mlir;
using namespace mlir::moe;

SmallVector<FusedFFNOp> moe::getExpertLayers(ModuleOp module) {
  SmallVector<FusedFFNOp> layers;
  module.walk([&](FusedFFNOp op) {
    if (cast<ShapedType>(op.getUp().getType()).hasStaticShape() &&
        cast<ShapedType>(op.getDown().getType()).hasStaticShape() &&
        !cast<ShapedType>(op.getWeights().getType()).isDynamicDim(1))
      layers.push_back(op);
  });
  return layers;
}

Value moe::getExpertIds(FusedFFNOp op) {
  Operation *producer = op.getRows().getDefiningOp();
  if (auto router = dyn_cast_or_null<RoutePermuteOp>(producer))
    return router.getIds();
  if (auto permute = dyn_cast_or_null<PermuteOp>(producer))
    return permute.getIds();
  return {};
}

/// The name of the ONNX node behind an operation.
static std::string getName(Operation *op) {
  if (auto name = dyn_cast<NameLoc>(op->getLoc()))
    return name.getName().str();
  std::string text;
  llvm::raw_string_ostream(text) << op->getLoc();
  return text;
}

/// Bits of one number as the model stores it.
static int64_t getStoredBits(Value weights) {
  if (auto op = weights.getDefiningOp<WeightOp>())
    if (!op.getViews().empty())
      if (auto view = dyn_cast<ViewAttr>(op.getViews()[0]))
        return view.getElement().getIntOrFloatBitWidth();
  return cast<ShapedType>(weights.getType()).getElementTypeBitWidth();
}

ExpertLayer moe::describeLayer(FusedFFNOp op) {
  auto up = cast<ShapedType>(op.getUp().getType());
  ExpertLayer layer;
  layer.name = getName(op);
  layer.experts = up.getDimSize(0);
  layer.hidden = up.getDimSize(1);
  layer.inner = up.getDimSize(2);
  layer.slots = cast<ShapedType>(op.getWeights().getType()).getDimSize(1);
  layer.matrices = op.getGate() ? 3 : 2;
  layer.weightBits = getStoredBits(op.getUp());
  layer.activationBits =
      cast<ShapedType>(op.getX().getType()).getElementTypeBitWidth();
  if (auto router = op.getRows().getDefiningOp<RoutePermuteOp>())
    if (GroupsAttr groups = router.getGroupsAttr())
      layer.groups = groups.getCount();
  return layer;
}

ExpertModel moe::describeModel(ModuleOp module) {
  ExpertModel model;
  llvm::DenseSet<Attribute> counted;
  for (FusedFFNOp op : getExpertLayers(module)) {
    model.layers.push_back(describeLayer(op));
    for (Value weights : {op.getGate(), op.getUp(), op.getDown()})
      if (auto weight =
              weights ? weights.getDefiningOp<WeightOp>() : WeightOp())
        counted.insert(weight.getViewsAttr());
  }
  module.walk([&](WeightOp op) {
    if (counted.insert(op.getViewsAttr()).second)
      model.denseBytes +=
          op.getType().getNumElements() * getStoredBits(op.getResult()) / 8;
  });
  return model;
}
