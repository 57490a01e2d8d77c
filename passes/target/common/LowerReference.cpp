//===- LowerReference.cpp - plain loops for the moe dialect -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/Passes.h"
#include "passes/target/common/Reference.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/ADT/TypeSwitch.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERREFERENCE
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

struct LowerReference : public moe::impl::LowerReferenceBase<LowerReference> {
  using LowerReferenceBase::LowerReferenceBase;

  void runOnOperation() override {
    SmallVector<Operation *> ops;
    getOperation()->walk([&](Operation *op) {
      if (isa<RoutePermuteOp, PermuteOp, GroupedMatmulOp, CombineOp, SharedOp,
              FusedFFNOp>(op) ||
          (attention && isa<kern::AttentionOp>(op)))
        ops.push_back(op);
    });
    for (Operation *op : ops) {
      SmallVector<Value> results = lower(op);
      OpBuilder builder(op);
      for (auto [old, result] : llvm::zip_equal(op->getResults(), results))
        old.replaceAllUsesWith(adapt(builder, result, old.getType()));
      op->erase();
    }
  }

  static SmallVector<Value> lower(Operation *op) {
    using Values = SmallVector<Value>;
    return llvm::TypeSwitch<Operation *, Values>(op)
        .Case([](RoutePermuteOp op) { return lowerRoutePermute(op); })
        .Case([](PermuteOp op) { return lowerPermute(op); })
        .Case([](GroupedMatmulOp op) { return Values{lowerGroupedMatmul(op)}; })
        .Case([](CombineOp op) { return Values{lowerCombine(op)}; })
        .Case([](SharedOp op) { return Values{lowerShared(op)}; })
        .Case([](FusedFFNOp op) { return Values{lowerFusedFFN(op)}; })
        .Case([](kern::AttentionOp op) { return Values{lowerAttention(op)}; });
  }

  /// The loops know extents better or worse than the operation says, and ids
  /// are computed as i32.
  static Value adapt(OpBuilder &builder, Value value, Type type) {
    if (value.getType() == type)
      return value;
    auto tensor = cast<RankedTensorType>(type);
    if (getElementTypeOrSelf(value.getType()) != tensor.getElementType())
      value = arith::ExtSIOp::create(builder, value.getLoc(),
                                     cast<RankedTensorType>(value.getType())
                                         .clone(tensor.getElementType()),
                                     value);
    return tensor::CastOp::create(builder, value.getLoc(), type, value);
  }
};

} // namespace
