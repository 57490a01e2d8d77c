//===- RaiseExperts.cpp - blocks of experts in a graph ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/Passes.h"
#include "passes/convert/raise/BlockRaiser.h"
#include "passes/convert/raise/Terms.h"

#include "mlir/IR/Remarks.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/DenseSet.h"

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

/// Whether `op` may end a block by itself: a product or a sum over dimensions.
bool isProduct(Operation *op) {
  if (auto matmul = dyn_cast<onnx::MatMulOp>(op))
    return !matmul.getB().getDefiningOp<WeightOp>();
  return isa<onnx::ReduceSumOp, onnx::EinsumOp>(op);
}

/// Whether `op` is the last of a chain of sums or products.
bool isEndOfChain(Operation *op) {
  auto isLink = [](Operation *op) {
    return isSumOfRows(op) || isa<onnx::MulOp>(op);
  };
  return isLink(op) && (!op->hasOneUse() || !isLink(*op->user_begin()));
}

struct RaiseExperts : public moe::impl::RaiseExpertsBase<RaiseExperts> {
  void runOnOperation() override {
    hoistConstants();
    SmallVector<Operation *> products, chains, selections;
    getOperation()->walk([&](Operation *op) {
      if (isa<onnx::MicrosoftMoEOp, onnx::MicrosoftQMoEOp>(op) || isProduct(op))
        products.push_back(op);
      else if (isEndOfChain(op))
        chains.push_back(op);
      else if (isa<onnx::WhereOp>(op))
        selections.push_back(op);
    });
    auto raiseAll = [&](auto &&operations, RaiseMode mode) {
      for (Operation *op : operations)
        if (!erased.contains(op) && failed(raise(op, mode)))
          return failure();
      return success();
    };
    for (RaiseMode mode : {RaiseMode::Plain, RaiseMode::Distributed})
      if (failed(raiseAll(products, mode)) ||
          failed(raiseAll(llvm::reverse(chains), mode)))
        return signalPassFailure();
    if (failed(raiseAll(llvm::reverse(selections), RaiseMode::Distributed)) ||
        failed(raiseAll(llvm::reverse(chains), RaiseMode::Ungated)) ||
        failed(raiseAll(products, RaiseMode::Ungated)))
      return signalPassFailure();
    raiseRest(raiseDispatchedRows);
    raiseRest(raiseGroupedProduct);
    reportMissed();
  }

  /// Numbers in the body of a branch serve outside of it, too.
  void hoistConstants() {
    SmallVector<Operation *> nested;
    getOperation()->walk([&](Operation *op) {
      if (isa<onnx::ConstantOp, WeightOp>(op) &&
          isa<onnx::ONNXDialect>(op->getParentOp()->getDialect()))
        nested.push_back(op);
    });
    for (Operation *op : nested) {
      auto function = op->getParentOfType<FunctionOpInterface>();
      if (!function)
        continue;
      Block &body = function.getFunctionBody().front();
      op->moveBefore(&body, body.begin());
    }
  }

  LogicalResult raise(Operation *op, RaiseMode mode) {
    if (op->use_empty())
      return success();
    auto moe = dyn_cast<onnx::MicrosoftMoEOp>(op);
    auto quantized = dyn_cast<onnx::MicrosoftQMoEOp>(op);
    if (moe || quantized) {
      if (mode != RaiseMode::Plain)
        return success();
      std::optional<Miss> miss;
      Location loc = op->getLoc();
      StringRef form = moe ? "com.microsoft.MoE" : "com.microsoft.QMoE";
      if (failed(moe ? raiseMicrosoftMoE(moe, miss)
                     : raiseMicrosoftQMoE(quantized, miss)))
        return failure();
      if (miss) {
        missed.push_back({*miss, op});
        return success();
      }
      erased.insert(op);
      remark::passed(loc, getOptions("experts recognised"))
          << remark::metric("form", form);
      return success();
    }
    SmallVector<RaisedBlock> raised;
    SmallVector<MissedBlock> nearly;
    if (!raiseBlocks(op->getResult(0), mode, raised, nearly)) {
      missed.append(nearly.begin(), nearly.end());
      return success();
    }
    report(op, raised);
    return success();
  }

  /// What is left of experts by one result at a time. The last sum or product
  /// of an expert comes first.
  void raiseRest(bool (*raise)(Value, SmallVectorImpl<RaisedBlock> &)) {
    // Memory of what was erased before may hold new operations.
    DenseSet<Operation *> before = std::exchange(erased, {});
    SmallVector<Operation *> ends;
    getOperation()->walk([&](Operation *op) {
      if (isa<onnx::AddOp, onnx::MatMulOp, onnx::EinsumOp, onnx::ScatterNDOp>(
              op))
        ends.push_back(op);
    });
    for (Operation *op : llvm::reverse(ends)) {
      SmallVector<RaisedBlock> raised;
      if (!erased.contains(op) && !op->use_empty() &&
          raise(op->getResult(0), raised))
        report(op, raised);
    }
    erased.insert(before.begin(), before.end());
  }

  /// Tells about blocks that took the place of `last`.
  void report(Operation *last, ArrayRef<RaisedBlock> raised) {
    SmallVector<StringRef> covered = eraseDead(last);
    for (const RaisedBlock &block : raised)
      remark::passed(block.loc, getOptions("experts recognised"))
          << remark::metric("form", block.form)
          << remark::metric("experts", block.experts)
          << remark::metric("top_k", block.slots)
          << remark::metric("activation",
                            stringifyActivationKind(block.activation.getKind()))
          << remark::metric("nodes", llvm::join(covered, " "));
  }

  /// Erases what only `last` used; returns the nodes.
  SmallVector<StringRef> eraseDead(Operation *last) {
    SmallVector<StringRef> names;
    SmallVector<Operation *> work = {last};
    while (!work.empty()) {
      Operation *op = work.pop_back_val();
      if (erased.contains(op) || !isOpTriviallyDead(op))
        continue;
      if (auto name = dyn_cast<NameLoc>(op->getLoc()))
        if (!isa<onnx::ConstantOp, WeightOp>(op))
          names.push_back(name.getName().strref());
      SetVector<Operation *> operands;
      for (Value operand : op->getOperands())
        if (Operation *producer = operand.getDefiningOp())
          operands.insert(producer);
      erased.insert(op);
      op->erase();
      work.append(operands.begin(), operands.end());
    }
    std::reverse(names.begin(), names.end());
    return names;
  }

  void reportMissed() {
    DenseSet<Operation *> reported;
    for (const MissedBlock &block : missed) {
      if (!block.product || erased.contains(block.product) ||
          !reported.insert(block.product).second)
        continue;
      remark::missed(block.product->getLoc(),
                     getOptions("experts not recognised"))
          << remark::metric("nearest form", block.miss.form)
          << remark::metric("reason", block.miss.reason);
    }
  }

  SmallVector<MissedBlock> missed;
  DenseSet<Operation *> erased;
};

} // namespace
