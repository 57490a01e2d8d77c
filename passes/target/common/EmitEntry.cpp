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
    {kHostArena, 4, false},
    {kHostThreadCount, 5, false},
    {kHostThreadIndex, 6, false},
    {kHostMark, 7, false},
    {kHostExchangeBegin, 10, false},
    {kHostExchangeDispatch, 11, false},
    {kHostExchangeCombine, 12, false},
    {kHostExchangeWait, 13, false},
};
constexpr int32_t kRecordRoutingField = 8;
constexpr int32_t kAppendField = 9;
constexpr unsigned kHostTableSize = 14;

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
    for (auto callee :
         llvm::make_early_inc_range(module.getOps<LLVM::LLVMFuncOp>()))
      if (callee.getSymName().starts_with(kHostAppend))
        emitAppend(callee);
      else if (callee.getSymName().starts_with(kHostRecordRouting))
        emitRecordRouting(callee);
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
    OpBuilder builder(&getContext());
    Block *entry = beginBody(builder, callee);
    SmallVector<Value> operands(entry->args_begin() + function.dropFirst,
                                entry->args_end());
    auto call = callHost(builder, callee.getLoc(), function.field, operands,
                         callee.getFunctionType().getReturnType());
    LLVM::ReturnOp::create(builder, callee.getLoc(), call.getResults());
  }

  static Block *beginBody(OpBuilder &builder, LLVM::LLVMFuncOp callee) {
    callee.setLinkage(LLVM::Linkage::Internal);
    Block *entry = callee.addEntryBlock(builder);
    builder.setInsertionPointToStart(entry);
    return entry;
  }

  /// Calls the function in a field of the host's table.
  LLVM::CallOp callHost(OpBuilder &builder, Location loc, int32_t index,
                        ArrayRef<Value> arguments, Type result) {
    auto tableType = LLVM::LLVMStructType::getLiteral(
        &getContext(), SmallVector<Type>(kHostTableSize, pointer));
    Value variable =
        LLVM::AddressOfOp::create(builder, loc, pointer, kHostTable);
    Value table = LLVM::LoadOp::create(builder, loc, pointer, variable);
    Value field = LLVM::GEPOp::create(builder, loc, pointer, tableType, table,
                                      ArrayRef<LLVM::GEPArg>{0, index});
    SmallVector<Value> operands = {
        LLVM::LoadOp::create(builder, loc, pointer, field)};
    llvm::append_range(operands, arguments);
    auto type = LLVM::LLVMFunctionType::get(
        result, llvm::to_vector(ValueRange(arguments).getTypes()));
    return LLVM::CallOp::create(builder, loc, type, operands);
  }

  static Value allocateStruct(OpBuilder &builder, Location loc, Type pointer,
                              Type type) {
    Value one =
        LLVM::ConstantOp::create(builder, loc, builder.getI64IntegerAttr(1));
    return LLVM::AllocaOp::create(builder, loc, pointer, type, one);
  }

  /// The host writes the descriptor that `callee` returns.
  void emitAppend(LLVM::LLVMFuncOp callee) {
    Location loc = callee.getLoc();
    OpBuilder builder(&getContext());
    Block *entry = beginBody(builder, callee);
    Type descriptor = callee.getFunctionType().getReturnType();
    SmallVector<Value> operands(entry->getArguments());
    operands.push_back(allocateStruct(builder, loc, pointer, descriptor));
    callHost(builder, loc, kAppendField, operands,
             LLVM::LLVMVoidType::get(&getContext()));
    Value result =
        LLVM::LoadOp::create(builder, loc, descriptor, operands.back());
    LLVM::ReturnOp::create(builder, loc, result);
  }

  /// Arguments: layer, experts and the fields of two descriptors of rank 2. The
  /// name ends in the types of ids and weights.
  void emitRecordRouting(LLVM::LLVMFuncOp callee) {
    Location loc = callee.getLoc();
    MLIRContext *context = &getContext();
    OpBuilder builder(context);
    Block *entry = beginBody(builder, callee);
    Type i64 = builder.getI64Type(), i32 = builder.getI32Type();
    auto number = [&](int32_t value) -> Value {
      return LLVM::ConstantOp::create(builder, loc,
                                      builder.getI32IntegerAttr(value));
    };
    // In a descriptor: allocated, aligned, offset, two sizes, two strides.
    constexpr unsigned ids = 2, weights = ids + 7, aligned = 1, sizes = 3;
    auto argument = [&](unsigned i) -> Value { return entry->getArgument(i); };
    StringRef name = callee.getSymName();
    bool wideIds = name.contains("_i64_");
    Value fields[] = {argument(ids + sizes),
                      argument(ids + sizes + 1),
                      argument(1),
                      argument(ids + aligned),
                      argument(weights + aligned),
                      number(wideIds ? 64 : 32),
                      number(name.ends_with("_f32") ? 32 : 16),
                      number(name.ends_with("_bf16"))};
    auto type = LLVM::LLVMStructType::getLiteral(
        context, {i64, i64, i64, pointer, pointer, i32, i32, i32});
    Value routing = allocateStruct(builder, loc, pointer, type);
    for (auto [i, field] : llvm::enumerate(fields)) {
      Value address = LLVM::GEPOp::create(
          builder, loc, pointer, type, routing,
          ArrayRef<LLVM::GEPArg>{0, static_cast<int32_t>(i)});
      LLVM::StoreOp::create(builder, loc, field, address);
    }
    callHost(builder, loc, kRecordRoutingField, {argument(0), routing},
             LLVM::LLVMVoidType::get(context));
    LLVM::ReturnOp::create(builder, loc, ValueRange());
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
    if (hasResult)
      operands.push_back(allocateStruct(builder, loc, pointer, result));
    for (unsigned i = 0; i < numInputs; ++i)
      operands.push_back(loadPointer(builder, loc, block->getArgument(0), i));
    LLVM::CallOp::create(builder, loc, interface, operands);
    if (hasResult)
      storeResults(builder, loc, result, operands.front(),
                   block->getArgument(1),
                   main->getAttrOfType<DenseI64ArrayAttr>(kOutputIndices));
    main->removeAttr(kOutputIndices);
    main->removeAttr(kStates);
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
  /// `indices` says which outputs they are, if not all.
  void storeResults(OpBuilder &builder, Location loc, Type result,
                    Value results, Value outputs, DenseI64ArrayAttr indices) {
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
      LLVM::StoreOp::create(
          builder, loc, value,
          loadPointer(builder, loc, outputs, indices ? indices[i] : i));
    }
  }

  Type pointer;
};

} // namespace
