//===- RaiseRouters.cpp - routers in a graph --------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/Passes.h"
#include "passes/convert/raise/ExpertForms.h"
#include "passes/convert/raise/RouterMatch.h"

#include "mlir/IR/Remarks.h"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISEROUTERS
#include "passes/convert/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

remark::RemarkOpts getOptions(StringRef name) {
  return remark::RemarkOpts::name(name).category("moe-raise-routers");
}

/// Whether `ids` are 0, 1, ... for every token: a mixture without a choice.
bool isEveryExpert(Value ids) {
  auto expand = ids.getDefiningOp<onnx::ExpandOp>();
  return expand && getIntegers(expand.getInput()) ==
                       llvm::to_vector(llvm::seq<int64_t>(
                           0, getTensorType(ids).getShape().back()));
}

/// Whether ids hang on nothing but the place of a row.
bool isFixed(Value ids) {
  Value source = skipReshapes(ids);
  if (auto expand = source.getDefiningOp<onnx::ExpandOp>())
    source = expand.getInput();
  return source.getDefiningOp<onnx::ConstantOp>() != nullptr;
}

/// What is known about ids without a formula for all of them.
StringRef describe(AssignOp op) {
  Value ids = op.getIds();
  if (isEveryExpert(ids))
    return "every token visits every expert";
  auto where = ids.getDefiningOp<onnx::WhereOp>();
  if (op.getDrops() && where && isEveryExpert(where.getY()))
    return "every token visits the experts that have a weight for it";
  if (isFixed(ids))
    return "the graph brings rows to experts";
  return "";
}

struct RaiseRouters : public moe::impl::RaiseRoutersBase<RaiseRouters> {
  void runOnOperation() override {
    SmallVector<AssignOp> routings;
    getOperation()->walk([&](AssignOp op) {
      if (!op->use_empty())
        routings.push_back(op);
    });
    for (AssignOp op : routings)
      raise(op);
  }

  static void raise(AssignOp op) {
    // Two layers may share a router's subgraph, not its operation.
    if (op.getIds().getDefiningOp<RouteOp>())
      return;
    if (StringRef kind = describe(op); !kind.empty()) {
      remark::passed(op.getLoc(), getOptions(kind))
          << remark::metric("kind", kind)
          << remark::metric("experts", op.getType().getExperts());
      return;
    }
    std::string reason;
    std::optional<RouterMatch> match = matchRouter(op, reason);
    RoutingType routing = op.getType();
    if (match && match->topK != routing.getSlots())
      reason = "not all of the chosen experts are used";
    if (!match || match->topK != routing.getSlots()) {
      // Experts and permutation are fused all the same.
      remark::analysis(op.getLoc(), getOptions("router kept as it is"))
          << remark::metric("reason", reason);
      return;
    }
    build(op, *match);
    remark::passed(op.getLoc(), getOptions("router recognised"))
        << remark::metric("score", stringifyScore(match->score))
        << remark::metric("order", stringifyRouteOrder(match->order))
        << remark::metric("normalize", stringifyNormalize(match->normalize))
        << remark::metric("select_bias", match->selectBias ? "yes" : "no")
        << remark::metric("groups",
                          match->groups
                              ? std::to_string(match->groups.getCount())
                              : "none")
        << remark::metric("experts", routing.getExperts())
        << remark::metric("top_k", match->topK);
  }

  static void build(AssignOp op, const RouterMatch &match) {
    OpBuilder builder(op);
    MLIRContext *context = op.getContext();
    Location loc = op.getLoc();
    OperationState state(loc, RouteOp::getOperationName());
    RouteOp::build(builder, state, op.getType(),
                   asMatrix(builder, loc, match.logits), match.selectBias,
                   match.expertScale, builder.getI64IntegerAttr(match.topK),
                   ScoreAttr::get(context, match.score),
                   RouteOrderAttr::get(context, match.order),
                   NormalizeAttr::get(context, match.normalize),
                   builder.getF64FloatAttr(match.epsilon),
                   builder.getF64FloatAttr(match.scale),
                   match.softcap ? builder.getF64FloatAttr(*match.softcap)
                                 : FloatAttr(),
                   match.groups,
                   /*capacity=*/CapacityAttr(), builder.getF64FloatAttr(0.01));
    Operation *route = builder.create(state);
    op.replaceAllUsesWith(route->getResult(0));
    op.erase();
  }
};

} // namespace
