//===- RaiseExperts.cpp - blocks of experts in a graph ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/Passes.h"
#include "passes/convert/raise/ExpertForms.h"

#include "mlir/IR/Remarks.h"

namespace mlir::moe {
#define GEN_PASS_DEF_RAISEEXPERTS
#include "passes/convert/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

remark::RemarkOpts getOptions(StringRef name) {
  return remark::RemarkOpts::name(name).category("moe-raise-experts");
}

struct RaiseExperts : public moe::impl::RaiseExpertsBase<RaiseExperts> {
  void runOnOperation() override {
    SmallVector<Operation *> anchors;
    getOperation()->walk([&](Operation *op) {
      if (isa<onnx::MicrosoftMoEOp, onnx::ReduceSumOp>(op))
        anchors.push_back(op);
    });
    for (Operation *anchor : anchors)
      if (failed(raise(anchor)))
        return signalPassFailure();
    for (const DenseSum &sum : findDenseSums(getOperation())) {
      std::optional<Miss> miss;
      Location loc = sum.result.getLoc();
      if (raiseDense(sum, miss))
        report(loc, "dense experts");
      else
        report(loc, *miss);
    }
  }

  static LogicalResult raise(Operation *anchor) {
    std::optional<Miss> miss;
    Location loc = anchor->getLoc();
    if (auto op = dyn_cast<onnx::MicrosoftMoEOp>(anchor)) {
      if (failed(raiseMicrosoftMoE(op, miss)))
        return failure();
      if (!miss)
        report(loc, "com.microsoft.MoE");
    } else if (raiseBatched(cast<onnx::ReduceSumOp>(anchor), miss)) {
      report(loc, "batched experts");
    } else if (raiseGrouped(cast<onnx::ReduceSumOp>(anchor), miss)) {
      report(loc, "grouped experts");
    }
    if (miss)
      report(loc, *miss);
    return success();
  }

  static void report(Location loc, const Miss &miss) {
    remark::missed(loc, getOptions("experts not recognised"))
        << remark::metric("nearest form", miss.form)
        << remark::metric("reason", miss.reason);
  }

  static void report(Location loc, StringRef form) {
    remark::passed(loc, getOptions("experts recognised"))
        << remark::metric("form", form);
  }
};

} // namespace
