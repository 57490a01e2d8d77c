//===- MarkEntry.cpp - asks for the C interface of the entry function -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MARKENTRY
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

struct MarkEntry : public moe::impl::MarkEntryBase<MarkEntry> {
  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main) {
      getOperation().emitError() << "expected a function @main";
      return signalPassFailure();
    }
    main->setAttr(LLVM::LLVMDialect::getEmitCWrapperAttrName(),
                  UnitAttr::get(&getContext()));
  }
};

} // namespace
