//===- KernelSet.cpp - the kernels of a module ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/KernelSet.h"

#include "passes/target/common/HostCalls.h"
#include "passes/target/gpu/Offload.h"

#include "mlir/Dialect/LLVMIR/NVVMDialect.h"

using namespace mlir;
using namespace mlir::moe;

/// Records a failure, unless there is one, and ends the thread.
static constexpr StringLiteral kFail = "moe_fail";

KernelSet::KernelSet(ModuleOp module) : module(module) {
  kernels = module.lookupSymbol<ModuleOp>(kKernelModule);
  if (!kernels) {
    OpBuilder builder = OpBuilder::atBlockEnd(module.getBody());
    kernels = ModuleOp::create(builder, module.getLoc(), kKernelModule);
  }
  for (auto kernel : kernels.getOps<func::FuncOp>())
    next += kernel->hasAttr(kKernelThreads);
}

func::FuncOp KernelSet::create(Location loc, TypeRange arguments,
                               int64_t threads) {
  OpBuilder builder = OpBuilder::atBlockEnd(kernels.getBody());
  std::string name = ("kernel_" + Twine(next++)).str();
  auto kernel = func::FuncOp::create(builder, loc, name,
                                     builder.getFunctionType(arguments, {}));
  kernel->setAttr(kKernelThreads, builder.getI64IntegerAttr(threads));
  builder.setInsertionPointToStart(kernel.addEntryBlock());
  func::ReturnOp::create(builder, loc);
  return kernel;
}

void KernelSet::finish(func::FuncOp kernel, Value failure) {
  SmallVector<func::CallOp> calls;
  kernel.walk([&](func::CallOp call) {
    if (call.getCallee() == kHostFail)
      calls.push_back(call);
  });
  for (func::CallOp call : calls) {
    OpBuilder builder(call);
    Value message = LLVM::PtrToIntOp::create(
        builder, call.getLoc(), builder.getI64Type(), call.getOperand(0));
    func::CallOp::create(builder, call.getLoc(), getFailFunction(),
                         ValueRange{failure, message, call.getOperand(1)});
    call.erase();
  }
  Operation *first = &kernel.front().front();
  kernel.walk([&](memref::AllocaOp op) {
    if (op->getNumOperands() == 0)
      op->moveBefore(first);
  });
}

/// fail(record, message, value): `record` is two numbers of 64 bits, which the
/// runtime clears before a run.
func::FuncOp KernelSet::getFailFunction() {
  if (auto function = kernels.lookupSymbol<func::FuncOp>(kFail))
    return function;
  Location loc = kernels.getLoc();
  auto b = ImplicitLocOpBuilder::atBlockBegin(loc, kernels.getBody());
  Type i64 = b.getI64Type();
  auto function =
      func::FuncOp::create(b, kFail, b.getFunctionType({i64, i64, i64}, {}));
  function.setPrivate();
  Block *entry = function.addEntryBlock();
  b.setInsertionPointToStart(entry);
  auto pointer = LLVM::LLVMPointerType::get(b.getContext(), kDeviceSpace);
  Value record = LLVM::IntToPtrOp::create(b, pointer, entry->getArgument(0));
  Value zero = LLVM::ConstantOp::create(b, b.getI64IntegerAttr(0));
  Value exchange = LLVM::AtomicCmpXchgOp::create(
      b, record, zero, entry->getArgument(1), LLVM::AtomicOrdering::monotonic,
      LLVM::AtomicOrdering::monotonic, "device");
  Value isFirst = LLVM::ExtractValueOp::create(b, exchange, 1);
  auto guard = scf::IfOp::create(b, isFirst, /*withElseRegion=*/false);
  {
    OpBuilder::InsertionGuard restore(b);
    b.setInsertionPointToStart(guard.thenBlock());
    Value place =
        LLVM::GEPOp::create(b, pointer, i64, record, ArrayRef<LLVM::GEPArg>{1});
    LLVM::StoreOp::create(b, entry->getArgument(2), place);
  }
  NVVM::Exit::create(b);
  func::ReturnOp::create(b);
  return function;
}

/// A number that tells apart most kernels that do different things.
static size_t hash(func::FuncOp kernel) {
  llvm::hash_code code(0);
  kernel.getBody().walk([&](Operation *op) {
    code = llvm::hash_combine(code, op->getName(),
                              op->getAttrDictionary().getAsOpaquePointer(),
                              llvm::hash_combine_range(op->getResultTypes()));
  });
  return code;
}

func::FuncOp KernelSet::unify(func::FuncOp kernel) {
  SmallVector<func::FuncOp> &alike = known[hash(kernel)];
  for (func::FuncOp other : alike)
    if (kernel->getAttr(kKernelThreads) == other->getAttr(kKernelThreads) &&
        OperationEquivalence::isRegionEquivalentTo(
            &kernel.getBody(), &other.getBody(),
            OperationEquivalence::IgnoreLocations)) {
      kernel.erase();
      --next;
      return other;
    }
  alike.push_back(kernel);
  return kernel;
}

Value KernelSet::emitThread(ImplicitLocOpBuilder &k, int64_t blockThreads) {
  Type i32 = k.getI32Type();
  Type index = k.getIndexType();
  Value thread = NVVM::ThreadIdXOp::create(k, i32);
  Value block = NVVM::BlockIdXOp::create(k, i32);
  Value wideThread = arith::IndexCastUIOp::create(k, index, thread);
  Value wideBlock = arith::IndexCastUIOp::create(k, index, block);
  Value threads = arith::ConstantIndexOp::create(k, blockThreads);
  Value first = arith::MulIOp::create(k, wideBlock, threads);
  return arith::AddIOp::create(k, first, wideThread);
}

Value KernelSet::emitIsRunning(ImplicitLocOpBuilder &k, Value failure) {
  auto pointer = LLVM::LLVMPointerType::get(k.getContext(), kDeviceSpace);
  Value record = LLVM::IntToPtrOp::create(k, pointer, failure);
  Value message = LLVM::LoadOp::create(k, k.getI64Type(), record);
  Value zero = arith::ConstantIntOp::create(k, 0, 64);
  return arith::CmpIOp::create(k, arith::CmpIPredicate::eq, message, zero);
}

Value KernelSet::emitSharedMemory(ImplicitLocOpBuilder &k) {
  constexpr StringLiteral kName = "moe_shared";
  constexpr unsigned kSharedSpace = 3;
  auto global = kernels.lookupSymbol<LLVM::GlobalOp>(kName);
  if (!global) {
    OpBuilder builder = OpBuilder::atBlockBegin(kernels.getBody());
    // External: the back end gives an internal one a static size of 1 byte.
    global = LLVM::GlobalOp::create(
        builder, kernels.getLoc(),
        LLVM::LLVMArrayType::get(builder.getI8Type(), 0),
        /*isConstant=*/false, LLVM::Linkage::External, kName, Attribute(),
        /*alignment=*/1024, kSharedSpace);
  }
  return LLVM::AddressOfOp::create(k, global);
}

/// The address of a string in the host's code.
Value KernelSet::emitName(ImplicitLocOpBuilder &b, StringRef name) {
  std::string symbol = ("name_of_" + name).str();
  auto global = module.lookupSymbol<LLVM::GlobalOp>(symbol);
  if (!global) {
    OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
    std::string text = name.str() + '\0';
    auto type = LLVM::LLVMArrayType::get(builder.getI8Type(), text.size());
    global = LLVM::GlobalOp::create(
        builder, module.getLoc(), type, /*isConstant=*/true,
        LLVM::Linkage::Internal, symbol, builder.getStringAttr(text));
  }
  return LLVM::AddressOfOp::create(b, global);
}

void KernelSet::emitLaunch(ImplicitLocOpBuilder &b, func::FuncOp kernel,
                           Value blocks, const KernelArguments &arguments,
                           int64_t shared) {
  Location loc = b.getLoc();
  ValueRange values = arguments.getValues();
  auto structure = LLVM::LLVMStructType::getLiteral(
      b.getContext(), llvm::to_vector(values.getTypes()));
  auto pointer = LLVM::LLVMPointerType::get(b.getContext());
  auto list = LLVM::LLVMArrayType::get(pointer, values.size());
  Value storage = allocateInFrame(b, loc, structure);
  Value pointers = allocateInFrame(b, loc, list);
  for (auto [i, value] : llvm::enumerate(values)) {
    auto number = static_cast<int32_t>(i);
    Value place = LLVM::GEPOp::create(b, pointer, structure, storage,
                                      ArrayRef<LLVM::GEPArg>{0, number});
    LLVM::StoreOp::create(b, value, place);
    Value entry = LLVM::GEPOp::create(b, pointer, list, pointers,
                                      ArrayRef<LLVM::GEPArg>{0, number});
    LLVM::StoreOp::create(b, place, entry);
  }
  auto threads = kernel->getAttrOfType<IntegerAttr>(kKernelThreads);
  Type i64 = b.getI64Type();
  Value grid = arith::IndexCastOp::create(b, i64, blocks);
  Value block = arith::ConstantIntOp::create(b, threads.getInt(), 64);
  Value bytes = arith::ConstantIntOp::create(b, shared, 64);
  callDevice(b, loc, DeviceCall::Launch,
             {emitName(b, kernel.getSymName()), grid, block, bytes, pointers});
}
