//===- ExposeRouting.cpp - the chosen experts as results of the model -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"
#include "passes/fuse/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"

namespace mlir::moe {
#define GEN_PASS_DEF_EXPOSEROUTING
#include "passes/fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

/// The expert ids that `op` chooses, or a null value if it is no router.
static Value getChosenExperts(Operation *op) {
  if (auto fused = dyn_cast<RoutePermuteOp>(op))
    return fused.getIds();
  if (auto assign = dyn_cast<AssignOp>(op))
    return assign.getIds();
  auto route = dyn_cast<RouteOp>(op);
  if (!route)
    return {};
  OpBuilder builder(op->getContext());
  builder.setInsertionPointAfter(op);
  RoutingType type = route.getResult().getType();
  SmallVector<int64_t> shape = {type.getTokens(), type.getSlots()};
  auto ids = RankedTensorType::get(shape, builder.getI32Type());
  auto weights = RankedTensorType::get(shape, builder.getF32Type());
  return UnpackOp::create(builder, op->getLoc(), ids, weights,
                          route.getResult())
      .getIds();
}

namespace {

struct ExposeRouting : public moe::impl::ExposeRoutingBase<ExposeRouting> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal()) {
      getOperation().emitError("expected a function @main with a body");
      return signalPassFailure();
    }
    // Routers inside loops and branches have no value at the end of @main.
    SmallVector<Operation *> operations;
    for (Operation &op : main.front())
      operations.push_back(&op);
    auto terminator = cast<func::ReturnOp>(main.front().getTerminator());
    SmallVector<Type> types(main.getResultTypes());
    unsigned first = types.size();
    for (Operation *op : operations) {
      Value ids = getChosenExperts(op);
      if (!ids)
        continue;
      terminator->insertOperands(terminator->getNumOperands(), ids);
      types.push_back(ids.getType());
    }
    OpBuilder builder(&getContext());
    main.setType(builder.getFunctionType(main.getArgumentTypes(), types));
    for (unsigned i = first; i < types.size(); ++i)
      main.setResultAttr(
          i, "moe.name",
          builder.getStringAttr("routing." + std::to_string(i - first)));
  }
};

} // namespace
