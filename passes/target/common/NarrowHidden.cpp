//===- NarrowHidden.cpp - bf16 between the halves of the experts ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/kern/KernDialect.h"
#include "passes/target/common/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_NARROWHIDDEN
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;

namespace {

struct NarrowHidden : public moe::impl::NarrowHiddenBase<NarrowHidden> {
  using NarrowHiddenBase::NarrowHiddenBase;

  void runOnOperation() override {
    getOperation()->walk([&](kern::ExpertsHiddenOp op) {
      auto init = op.getInit().getDefiningOp<tensor::EmptyOp>();
      Type type = getElementTypeOrSelf(op.getX());
      auto isNarrow = [&](Value value) {
        return getElementTypeOrSelf(value) == type;
      };
      if (!(type.isBF16() || (f16 && type.isF16())) || !init ||
          isNarrow(init) || !isNarrow(op.getPanels()) ||
          op->getNumResults() != 1)
        return;
      Value hidden = op->getResult(0);
      for (OpOperand &use : hidden.getUses()) {
        auto combine = dyn_cast<kern::ExpertsCombineOp>(use.getOwner());
        if (!combine || combine.getH() != hidden ||
            !isNarrow(combine.getPanels()))
          return;
      }
      OpBuilder builder(op);
      Value narrow = tensor::EmptyOp::create(builder, op.getLoc(),
                                             init.getMixedSizes(), type);
      op.getInitMutable().assign(narrow);
      hidden.setType(narrow.getType());
    });
  }
};

} // namespace
