//===- CountExperts.cpp - a pass from outside the moec repository -----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The pass `example-count-experts` reports every fused expert FFN with the
// number of its experts and changes nothing.
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"

#include "mlir/Pass/Pass.h"
#include "mlir/Tools/Plugins/PassPlugin.h"
#include "llvm/Config/llvm-config.h"

using namespace mlir;

namespace {

struct CountExperts : PassWrapper<CountExperts, OperationPass<>> {
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(CountExperts)

  StringRef getArgument() const override { return "example-count-experts"; }
  StringRef getDescription() const override {
    return "reports the number of experts of every fused expert FFN";
  }

  void runOnOperation() override {
    getOperation()->walk([](moe::FusedFFNOp op) {
      op.emitRemark("runs ")
          << op.getDown().getType().getDimSize(0) << " experts of width "
          << op.getDown().getType().getDimSize(1);
    });
    markAllAnalysesPreserved();
  }
};

} // namespace

extern "C" PassPluginLibraryInfo mlirGetPassPluginInfo() {
  return {MLIR_PLUGIN_API_VERSION, "CountExperts", LLVM_VERSION_STRING,
          [] { PassRegistration<CountExperts>(); }};
}
