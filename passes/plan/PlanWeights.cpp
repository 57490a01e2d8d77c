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

struct PlanWeights : public moe::impl::PlanWeightsBase<PlanWeights> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    SymbolTable symbols(module);
    SmallVector<WeightOp> weights;
    module.walk([&](WeightOp op) { weights.push_back(op); });

    // What a segment holds: views and type. MapVector keeps the model's order.
    llvm::MapVector<std::pair<Attribute, Type>, kern::SegmentOp> segments;
    OpBuilder builder(&getContext());
    int64_t offset = 0;
    for (WeightOp weight : weights) {
      kern::SegmentOp &segment =
          segments[{weight.getViewsAttr(), weight.getType()}];
      if (!segment) {
        segment = createSegment(builder, module, weight, offset);
        symbols.insert(segment);
      }
      builder.setInsertionPoint(weight);
      Value placed = kern::WeightOp::create(
          builder, weight.getLoc(), weight.getType(),
          FlatSymbolRefAttr::get(segment.getSymNameAttr()));
      weight.replaceAllUsesWith(placed);
      weight.erase();
    }
  }

  kern::SegmentOp createSegment(OpBuilder &builder, ModuleOp module,
                                WeightOp weight, int64_t &offset) {
    RankedTensorType type = weight.getType();
    Type element = type.getElementType();
    int64_t bytes = type.getNumElements() *
                    llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
    offset = llvm::alignTo(offset, bytes >= kPage ? kPage : kCacheLine);
    builder.setInsertionPointToStart(module.getBody());
    auto segment = kern::SegmentOp::create(
        builder, weight.getLoc(), getSymbolName(weight.getName()),
        weight.getName(), offset, builder.getArrayAttr({weight.getViewsAttr()}),
        type, /*packed=*/kern::PackedAttr(), type);
    offset += bytes;
    return segment;
  }
};

} // namespace
