//===- MarkKernels.cpp - kernels for the back end -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/KernelSet.h"
#include "passes/target/gpu/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_MARKKERNELS
#include "passes/target/gpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

struct MarkKernels : public moe::impl::MarkKernelsBase<MarkKernels> {
  void runOnOperation() override {
    Builder builder(&getContext());
    for (auto kernel : getOperation().getOps<LLVM::LLVMFuncOp>()) {
      auto threads = kernel->getAttrOfType<IntegerAttr>(kKernelThreads);
      if (!threads)
        continue;
      kernel->removeAttr(kKernelThreads);
      kernel->setAttr(NVVM::NVVMDialect::getKernelFuncAttrName(),
                      builder.getUnitAttr());
      kernel->setAttr(NVVM::NVVMDialect::getMaxntidAttrName(),
                      builder.getDenseI32ArrayAttr(
                          {static_cast<int32_t>(threads.getInt())}));
    }
  }
};

} // namespace
