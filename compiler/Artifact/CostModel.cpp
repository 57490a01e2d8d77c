//===- CostModel.cpp - what a run of a module takes -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/CostModel.h"

#include "dialects/kern/KernDialect.h"

using namespace mlir;
using namespace mlir::moe;
namespace json = llvm::json;

/// Bytes of a tensor or buffer; 0 if its shape is not known.
static int64_t getBytes(Value value) {
  auto type = cast<ShapedType>(value.getType());
  if (!type.hasStaticShape())
    return 0;
  return type.getNumElements() * type.getElementTypeBitWidth() / 8;
}

namespace {

class CostCounter {
public:
  void add(kern::PanelGemmOp op) {
    auto a = cast<ShapedType>(op.getA().getType());
    auto result = cast<ShapedType>(op.getInit().getType());
    int64_t depth = a.getShape().back(), columns = result.getShape().back();
    bool isStack = result.getRank() == 3;
    if (ShapedType::isDynamic(depth) || ShapedType::isDynamic(columns) ||
        (isStack && result.isDynamicDim(0)))
      return;
    int64_t rowFlops =
        2 * depth * columns * (isStack ? result.getDimSize(0) : 1);
    int64_t rows = result.getShape().drop_back().back();
    if (ShapedType::isDynamic(rows))
      addPerToken(rowFlops, op.getA(), op.getB(), op.getQuantizedAttr());
    else
      flops += rows * rowFlops;
    bytes += getBytes(op.getB());
  }

  void add(kern::ExpertsHiddenOp op) {
    addExperts(op.getX(), op.getInit(), op.getPanels(), op.getQuantizedAttr(),
               op.getSlots(), op.getGated() ? 2 : 1);
  }

  void add(kern::ExpertsCombineOp op) {
    addExperts(op.getH(), op.getInit(), op.getPanels(), op.getQuantizedAttr(),
               op.getSlots(), 1);
  }

  json::Object describe() {
    return json::Object{{"flops", flops},
                        {"flops_per_token", flopsPerToken},
                        {"bf16_flops_per_token", flopsOfBF16PerToken},
                        {"byte_flops_per_token", flopsOfBytesPerToken},
                        {"bytes", bytes},
                        {"experts", std::move(experts)}};
  }

private:
  void addPerToken(int64_t count, Value rows, Value panels,
                   kern::QuantizedAttr quantized) {
    flopsPerToken += count;
    if (quantized && quantized.getRows())
      flopsOfBytesPerToken += count;
    else if (getElementTypeOrSelf(rows).isBF16() &&
             getElementTypeOrSelf(panels).isBF16())
      flopsOfBF16PerToken += count;
  }

  void addExperts(Value input, Value result, Value panels,
                  kern::QuantizedAttr quantized, int64_t slots,
                  int64_t products) {
    int64_t depth = cast<ShapedType>(input.getType()).getDimSize(1);
    int64_t columns = cast<ShapedType>(result.getType()).getDimSize(1);
    int64_t count = cast<ShapedType>(panels.getType()).getDimSize(0);
    if (ShapedType::isDynamic(depth) || ShapedType::isDynamic(columns) ||
        ShapedType::isDynamic(count) || count == 0)
      return;
    addPerToken(2 * depth * columns * products * slots, input, panels,
                quantized);
    experts.push_back(json::Object{{"count", count},
                                   {"slots", slots},
                                   {"bytes", getBytes(panels) / count}});
  }

  int64_t flops = 0, flopsPerToken = 0, flopsOfBF16PerToken = 0,
          flopsOfBytesPerToken = 0, bytes = 0;
  json::Array experts;
};

} // namespace

json::Object moe::describeCost(ModuleOp module) {
  CostCounter counter;
  module.walk([&](Operation *op) {
    llvm::TypeSwitch<Operation *>(op)
        .Case<kern::PanelGemmOp, kern::ExpertsHiddenOp, kern::ExpertsCombineOp>(
            [&](auto op) { counter.add(op); });
  });
  return counter.describe();
}
