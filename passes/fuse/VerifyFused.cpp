//===- VerifyFused.cpp - the gate behind the fuse stage ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"
#include "passes/fuse/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_VERIFYFUSED
#include "passes/fuse/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

struct VerifyFused : public moe::impl::VerifyFusedBase<VerifyFused> {
  void runOnOperation() override {
    bool clean = true;
    auto isRouting = [](Type type) { return isa<RoutingType>(type); };
    getOperation()->walk([&](Operation *op) {
      if (llvm::none_of(op->getOperandTypes(), isRouting) &&
          llvm::none_of(op->getResultTypes(), isRouting))
        return;
      op->emitOpError() << "expected no '!moe.routing' after the fuse stage";
      clean = false;
    });
    if (!clean)
      signalPassFailure();
  }
};

} // namespace
