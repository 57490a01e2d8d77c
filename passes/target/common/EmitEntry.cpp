//===- EmitEntry.cpp - what a code object exports ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/HostCalls.h"
#include "passes/target/common/Passes.h"

namespace mlir::moe {
#define GEN_PASS_DEF_EMITENTRY
#include "passes/target/common/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

constexpr StringLiteral kMain = "main";
constexpr StringLiteral kMainInterface = "_mlir_ciface_main";
constexpr StringLiteral kEntry = "moert_main";
constexpr StringLiteral kHostTable = "moert_host";

/// A function that generated code calls and the field of MoertHost behind it.
struct HostFunction {
  StringLiteral name;
  int32_t field;
  /// The first argument of the call is not part of the host's signature.
  bool dropFirst;
};

// The names of the allocation functions are those of
// `finalize-memref-to-llvm{use-generic-functions}`; the host aligns every
// block to 64 bytes, so the alignment that is asked for is dropped.
constexpr HostFunction kHostFunctions[] = {
    {"_mlir_memref_to_llvm_alloc", 0, false},
    {"_mlir_memref_to_llvm_aligned_alloc", 0, true},
    {"_mlir_memref_to_llvm_free", 1, false},
    {kHostParallel, 2, false},
    {kHostFail, 3, false},
};
constexpr unsigned kHostTableSize = 4;

struct EmitEntry : public moe::impl::EmitEntryBase<EmitEntry> {
  void runOnOperation() override {
    ModuleOp module = getOperation();
    pointer = LLVM::LLVMPointerType::get(&getContext());
    auto main = module.lookupSymbol<LLVM::LLVMFuncOp>(kMain);
    auto interface = module.lookupSymbol<LLVM::LLVMFuncOp>(kMainInterface);
    if (!main || !interface) {
      module.emitError() << "expected a function @main with a C interface";
      return signalPassFailure();
    }
    makeInternal(module);
    emitHostTable(module);
    for (const HostFunction &function : kHostFunctions)
      if (auto callee = module.lookupSymbol<LLVM::LLVMFuncOp>(function.name))
        emitHostCall(callee, function);
    emitMain(module, main, interface);
  }

private:
  static void makeInternal(ModuleOp module) {
    for (auto function : module.getOps<LLVM::LLVMFuncOp>()) {
      // Names of the model mean nothing to LLVM.
      function.removeArgAttrsAttr();
      function.removeResAttrsAttr();
      if (!function.isExternal())
        function.setLinkage(LLVM::Linkage::Internal);
    }
  }

  void emitHostTable(ModuleOp module) {
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    auto table = LLVM::GlobalOp::create(
        builder, module.getLoc(), pointer, /*isConstant=*/false,
        LLVM::Linkage::External, kHostTable, Attribute());
    builder.createBlock(&table.getInitializerRegion());
    LLVM::ReturnOp::create(
        builder, module.getLoc(),
        LLVM::ZeroOp::create(builder, module.getLoc(), pointer).getResult());
  }

  /// Gives `callee` a body that calls through the host's table.
  void emitHostCall(LLVM::LLVMFuncOp callee, const HostFunction &function) {
    Location loc = callee.getLoc();
    callee.setLinkage(LLVM::Linkage::Internal);
    OpBuilder builder(&getContext());
    Block *entry = callee.addEntryBlock(builder);
    builder.setInsertionPointToStart(entry);
    auto tableType = LLVM::LLVMStructType::getLiteral(
        &getContext(), SmallVector<Type>(kHostTableSize, pointer));
    Value variable =
        LLVM::AddressOfOp::create(builder, loc, pointer, kHostTable);
    Value table = LLVM::LoadOp::create(builder, loc, pointer, variable);
    Value field =
        LLVM::GEPOp::create(builder, loc, pointer, tableType, table,
                            ArrayRef<LLVM::GEPArg>{0, function.field});
    Value target = LLVM::LoadOp::create(builder, loc, pointer, field);

    SmallVector<Value> operands(entry->args_begin() + function.dropFirst,
                                entry->args_end());
    LLVM::LLVMFunctionType type = callee.getFunctionType();
    auto targetType = LLVM::LLVMFunctionType::get(
        type.getReturnType(), llvm::to_vector(ValueRange(operands).getTypes()));
    operands.insert(operands.begin(), target);
    auto call = LLVM::CallOp::create(builder, loc, targetType, operands);
    LLVM::ReturnOp::create(builder, loc, call.getResults());
  }

  /// moert_main(inputs, outputs): the descriptors of the inputs are passed by
  /// address as they are; the results come back side by side in one structure.
  void emitMain(ModuleOp module, LLVM::LLVMFuncOp main,
                LLVM::LLVMFuncOp interface) {
    Location loc = module.getLoc();
    MLIRContext *context = &getContext();
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    Type result = main.getFunctionType().getReturnType();
    bool hasResult = !isa<LLVM::LLVMVoidType>(result);
    unsigned numInputs = interface.getNumArguments() - hasResult;
    auto type = LLVM::LLVMFunctionType::get(LLVM::LLVMVoidType::get(context),
                                            {pointer, pointer});
    auto entry = LLVM::LLVMFuncOp::create(builder, loc, kEntry, type);
    Block *block = entry.addEntryBlock(builder);
    builder.setInsertionPointToStart(block);

    SmallVector<Value> operands;
    if (hasResult) {
      Value one =
          LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(1));
      operands.push_back(
          LLVM::AllocaOp::create(builder, loc, pointer, result, one));
    }
    for (unsigned i = 0; i < numInputs; ++i)
      operands.push_back(loadPointer(builder, loc, block->getArgument(0), i));
    LLVM::CallOp::create(builder, loc, interface, operands);
    if (hasResult)
      storeResults(builder, loc, result, operands.front(),
                   block->getArgument(1));
    LLVM::ReturnOp::create(builder, loc, ValueRange());
  }

  Value loadPointer(OpBuilder &builder, Location loc, Value array, unsigned i) {
    Value address =
        LLVM::GEPOp::create(builder, loc, pointer, pointer, array,
                            ArrayRef<LLVM::GEPArg>{static_cast<int32_t>(i)});
    return LLVM::LoadOp::create(builder, loc, pointer, address);
  }

  /// A single result comes as its descriptor, several as a structure of
  /// descriptors; a descriptor begins with a pointer, not with a structure.
  void storeResults(OpBuilder &builder, Location loc, Type result,
                    Value results, Value outputs) {
    auto structure = cast<LLVM::LLVMStructType>(result);
    bool several = isa<LLVM::LLVMStructType>(structure.getBody().front());
    ArrayRef<Type> descriptors =
        several ? structure.getBody() : ArrayRef<Type>(result);
    for (auto [i, descriptor] : llvm::enumerate(descriptors)) {
      Value address = results;
      if (several)
        address = LLVM::GEPOp::create(
            builder, loc, pointer, result, results,
            ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(i)});
      Value value = LLVM::LoadOp::create(builder, loc, descriptor, address);
      LLVM::StoreOp::create(builder, loc, value,
                            loadPointer(builder, loc, outputs, i));
    }
  }

  Type pointer;
};

} // namespace
