//===- LowerAsserts.cpp - assertions as errors of the run -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/HostCalls.h"
#include "passes/target/common/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_LOWERASSERTS
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

struct LowerAsserts : public moe::impl::LowerAssertsBase<LowerAsserts> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    llvm::StringMap<LLVM::GlobalOp> messages;
    SmallVector<cf::AssertOp> asserts;
    module.walk([&](cf::AssertOp op) { asserts.push_back(op); });
    for (cf::AssertOp op : asserts)
      lower(module, op, getMessage(module, messages, op.getMsg()));
  }

  /// The global that holds `text`, one for all assertions with this text.
  LLVM::GlobalOp getMessage(ModuleOp module,
                            llvm::StringMap<LLVM::GlobalOp> &messages,
                            StringRef text) {
    LLVM::GlobalOp &global = messages[text];
    if (global)
      return global;
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    std::string value = text.str() + '\0';
    auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), value.size());
    global =
        LLVM::GlobalOp::create(builder, module.getLoc(), type,
                               /*isConstant=*/true, LLVM::Linkage::Internal,
                               ("message_" + Twine(messages.size() - 1)).str(),
                               builder.getStringAttr(value));
    return global;
  }

  void lower(ModuleOp module, cf::AssertOp op, LLVM::GlobalOp message) {
    OpBuilder builder(op);
    Location loc = op.getLoc();
    Value yes = arith::ConstantIntOp::create(builder, loc, 1, 1);
    Value failed = arith::XOrIOp::create(builder, loc, op.getArg(), yes);
    auto branch = scf::IfOp::create(builder, loc, failed,
                                    /*withElseRegion=*/false);
    builder.setInsertionPointToStart(branch.thenBlock());
    Value address = LLVM::AddressOfOp::create(builder, loc, message);
    Value zero = arith::ConstantIntOp::create(builder, loc, 0, 64);
    func::CallOp::create(builder, loc, getHostFail(module),
                         ValueRange{address, zero});
    op.erase();
  }
};

} // namespace
