//===- RecordRouting.cpp - tells the runtime what routers choose ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/DescribeModel.h"
#include "passes/plan/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_RECORDROUTING
#include "passes/plan/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

struct RecordRouting : public moe::impl::RecordRoutingBase<RecordRouting> {
  void runOnOperation() override {
    for (auto [layer, op] : llvm::enumerate(getExpertLayers(getOperation())))
      if (Value ids = getExpertIds(op))
        record(op, layer, ids);
  }

private:
  void record(FusedFFNOp op, int64_t layer, Value ids) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    auto number = [&](int64_t value) -> Value {
      return arith::ConstantIntOp::create(builder, loc, value, 64);
    };
    auto toDynamic = [&](Value value) -> Value {
      auto type = cast<RankedTensorType>(value.getType());
      Type dynamic = RankedTensorType::get(
          {ShapedType::kDynamic, ShapedType::kDynamic}, type.getElementType());
      if (type == dynamic)
        return value;
      return tensor::CastOp::create(builder, loc, dynamic, value);
    };
    int64_t experts = cast<ShapedType>(op.getUp().getType()).getDimSize(0);
    Value operands[] = {number(layer), number(experts), toDynamic(ids),
                        toDynamic(op.getWeights())};
    func::CallOp::create(builder, loc, getFunction(operands), operands);
  }

  /// `moert_record_routing_IDS_WEIGHTS(layer, experts, ids, weights)`, which
  /// the target stage gives a body.
  func::FuncOp getFunction(ValueRange operands) {
    auto getElement = [&](unsigned i) {
      return cast<ShapedType>(operands[i].getType()).getElementType();
    };
    std::string name;
    llvm::raw_string_ostream(name)
        << "moert_record_routing_" << getElement(2) << '_' << getElement(3);
    ModuleOp module = getOperation();
    if (auto function = module.lookupSymbol<func::FuncOp>(name))
      return function;
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    auto function =
        func::FuncOp::create(builder, module.getLoc(), name,
                             builder.getFunctionType(operands.getTypes(), {}));
    function.setPrivate();
    // Bufferization need not copy what is only read.
    for (unsigned i : {2, 3})
      function.setArgAttr(i, "bufferization.access",
                          builder.getStringAttr("read"));
    return function;
  }
};

} // namespace
