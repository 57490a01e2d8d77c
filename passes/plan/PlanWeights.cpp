//===- PlanWeights.cpp - places of weights in the artifact ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/plan/Passes.h"

#include "llvm/ADT/MapVector.h"

namespace mlir::moe {
#define GEN_PASS_DEF_PLANWEIGHTS
#include "passes/plan/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

constexpr int64_t kCacheLine = 64;
constexpr int64_t kPage = 4096;

/// A name that needs no quotes in the printed IR.
std::string getSymbolName(StringRef name) {
  std::string symbol;
  for (char c : name)
    symbol += llvm::isAlnum(c) || c == '.' || c == '_' ? c : '_';
  if (symbol.empty() || llvm::isDigit(symbol.front()) || symbol.front() == '.')
    symbol.insert(0, "weight_");
  return symbol;
}

/// The weights that `pack` packs; empty if it packs anything else.
SmallVector<WeightOp> getPackedWeights(kern::PackOp pack) {
  SmallVector<WeightOp> weights;
  for (Value source : pack.getSources()) {
    auto weight = source.getDefiningOp<WeightOp>();
    if (!weight || weight.getType() != pack.getSources().front().getType())
      return {};
    weights.push_back(weight);
  }
  return weights;
}

/// The layer of whose experts all of `weights` are stacks, or null.
IntegerAttr getExpertLayer(ArrayRef<WeightOp> weights) {
  IntegerAttr layer;
  for (WeightOp weight : weights) {
    auto own = weight->getAttrOfType<IntegerAttr>(MoEDialect::kExpertLayerAttr);
    if (!own || (layer && own != layer))
      return {};
    layer = own;
  }
  return layer;
}

/// Hands out segments of the weights section.
class WeightPlanner {
public:
  explicit WeightPlanner(ModuleOp module)
      : module(module), symbols(module), builder(module.getContext()) {}

  /// Replaces `op`, whose result are the numbers of `weights`.
  void place(Operation *op, ArrayRef<WeightOp> weights,
             kern::PackedAttr packed) {
    Type type = op->getResult(0).getType();
    WeightOp first = weights.front();
    SmallVector<Attribute> views;
    SmallVector<StringRef> names;
    for (WeightOp weight : weights) {
      views.push_back(weight.getViewsAttr());
      names.push_back(weight.getName());
    }
    ArrayAttr sources = builder.getArrayAttr(views);
    // The physical type alone does not say how wide the last panel is.
    Attribute key = builder.getArrayAttr(
        {sources, packed ? Attribute(packed) : builder.getUnitAttr(),
         TypeAttr::get(first.getType())});
    IntegerAttr layer = getExpertLayer(weights);
    kern::SegmentOp &segment = segments[key];
    if (!segment) {
      std::string name = llvm::join(names, ", ");
      segment = create(op->getLoc(), name, sources, first.getType(), packed,
                       cast<RankedTensorType>(type));
      segment.setExpertLayerAttr(layer);
    } else if (segment.getExpertLayerAttr() != layer) {
      // What several layers share, ranks need as a whole.
      segment.removeExpertLayerAttr();
    }
    builder.setInsertionPoint(op);
    Value placed = kern::WeightOp::create(
        builder, op->getLoc(), type,
        FlatSymbolRefAttr::get(segment.getSymNameAttr()));
    op->getResult(0).replaceAllUsesWith(placed);
    op->erase();
  }

private:
  kern::SegmentOp create(Location loc, StringRef name, ArrayAttr sources,
                         RankedTensorType sourceType, kern::PackedAttr packed,
                         RankedTensorType type) {
    int64_t bytes =
        type.getNumElements() *
        llvm::divideCeil(type.getElementType().getIntOrFloatBitWidth(), 8);
    offset = llvm::alignTo(offset, bytes >= kPage ? kPage : kCacheLine);
    builder.setInsertionPointToStart(module.getBody());
    auto segment =
        kern::SegmentOp::create(builder, loc, getSymbolName(name), name, offset,
                                sources, sourceType, packed, type,
                                /*expert_layer=*/IntegerAttr());
    symbols.insert(segment);
    if (last)
      segment->moveAfter(last);
    last = segment;
    offset += bytes;
    return segment;
  }

  ModuleOp module;
  SymbolTable symbols;
  OpBuilder builder;
  llvm::DenseMap<Attribute, kern::SegmentOp> segments;
  Operation *last = nullptr;
  int64_t offset = 0;
};

struct PlanWeights : public moe::impl::PlanWeightsBase<PlanWeights> {
  void runOnOperation() override {
    WeightPlanner planner(getOperation());
    SmallVector<Operation *> work;
    getOperation().walk([&](Operation *op) {
      if (isa<WeightOp, kern::PackOp>(op))
        work.push_back(op);
    });
    // Packs follow the weights they pack: what they take needs no other place.
    SmallVector<WeightOp> weights;
    for (Operation *op : work) {
      if (auto weight = dyn_cast<WeightOp>(op)) {
        weights.push_back(weight);
        continue;
      }
      auto pack = cast<kern::PackOp>(op);
      SmallVector<WeightOp> packed = getPackedWeights(pack);
      if (!packed.empty())
        planner.place(pack, packed, pack.getLayout());
    }
    for (WeightOp weight : weights) {
      if (weight->use_empty())
        weight->erase();
      else
        planner.place(weight, weight, kern::PackedAttr());
    }
  }
};

} // namespace
