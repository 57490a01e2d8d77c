//===- EmitDeviceTable.cpp - the calls of host code to a device -----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/DeviceCalls.h"
#include "passes/target/gpu/Passes.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {
#define GEN_PASS_DEF_EMITDEVICETABLE
#include "passes/target/gpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

constexpr StringLiteral kDeviceTable = "moert_device";

struct EmitDeviceTable
    : public moe::impl::EmitDeviceTableBase<EmitDeviceTable> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto b =
        ImplicitLocOpBuilder::atBlockBegin(module.getLoc(), module.getBody());
    auto pointer = LLVM::LLVMPointerType::get(&getContext());
    auto table = LLVM::GlobalOp::create(b, pointer, /*isConstant=*/false,
                                        LLVM::Linkage::External, kDeviceTable,
                                        Attribute());
    b.createBlock(&table.getInitializerRegion());
    LLVM::ReturnOp::create(b, LLVM::ZeroOp::create(b, pointer).getResult());
    for (unsigned i = 0; i < kDeviceCallCount; ++i) {
      StringRef name = getDeviceCallName(static_cast<DeviceCall>(i));
      if (auto function = module.lookupSymbol<LLVM::LLVMFuncOp>(name))
        emitBody(function, i);
    }
  }

  /// Calls field `number` of the table.
  void emitBody(LLVM::LLVMFuncOp function, unsigned number) {
    function.setLinkage(LLVM::Linkage::Internal);
    ImplicitLocOpBuilder b(function.getLoc(), &getContext());
    Block *entry = function.addEntryBlock(b);
    b.setInsertionPointToStart(entry);
    auto pointer = LLVM::LLVMPointerType::get(&getContext());
    Value variable = LLVM::AddressOfOp::create(b, pointer, kDeviceTable);
    Value table = LLVM::LoadOp::create(b, pointer, variable);
    Value field = LLVM::GEPOp::create(b, pointer, pointer, table,
                                      ArrayRef<LLVM::GEPArg>{int32_t(number)});
    SmallVector<Value> operands = {LLVM::LoadOp::create(b, pointer, field)};
    operands.append(entry->args_begin(), entry->args_end());
    auto call = LLVM::CallOp::create(b, function.getFunctionType(), operands);
    LLVM::ReturnOp::create(b, call.getResults());
  }
};

} // namespace
