//===- HostCalls.cpp - declarations of host functions -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/HostCalls.h"

#include "mlir/Conversion/LLVMCommon/TypeConverter.h"
#include "mlir/Dialect/LLVMIR/LLVMTypes.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

static func::FuncOp getOrDeclare(ModuleOp module, StringRef name,
                                 TypeRange arguments, TypeRange results = {}) {
  if (auto function = module.lookupSymbol<func::FuncOp>(name))
    return function;
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  auto function = func::FuncOp::create(
      builder, module.getLoc(), name,
      FunctionType::get(module.getContext(), arguments, results));
  function.setPrivate();
  return function;
}

func::FuncOp moe::getHostFail(ModuleOp module) {
  Type pointer = LLVM::LLVMPointerType::get(module.getContext());
  Type i64 = IntegerType::get(module.getContext(), 64);
  return getOrDeclare(module, kHostFail, {pointer, i64});
}

func::FuncOp moe::getHostParallel(ModuleOp module) {
  Type pointer = LLVM::LLVMPointerType::get(module.getContext());
  Type i64 = IntegerType::get(module.getContext(), 64);
  return getOrDeclare(module, kHostParallel, {pointer, pointer, i64, i64});
}

func::FuncOp moe::getHostArena(ModuleOp module) {
  Type pointer = LLVM::LLVMPointerType::get(module.getContext());
  Type i64 = IntegerType::get(module.getContext(), 64);
  return getOrDeclare(module, kHostArena, i64, pointer);
}

func::FuncOp moe::getHostThreadCount(ModuleOp module) {
  Type i64 = IntegerType::get(module.getContext(), 64);
  return getOrDeclare(module, kHostThreadCount, {}, i64);
}

func::FuncOp moe::getHostThreadIndex(ModuleOp module) {
  Type i64 = IntegerType::get(module.getContext(), 64);
  return getOrDeclare(module, kHostThreadIndex, {}, i64);
}

func::FuncOp moe::getHostMark(ModuleOp module) {
  Type pointer = LLVM::LLVMPointerType::get(module.getContext());
  return getOrDeclare(module, kHostMark, pointer);
}

MemRefType moe::getAppendedType(Type element, int64_t rank) {
  SmallVector<int64_t> dynamic(rank, ShapedType::kDynamic);
  SmallVector<int64_t> strides = dynamic;
  strides.back() = 1;
  auto layout =
      StridedLayoutAttr::get(element.getContext(), /*offset=*/0, strides);
  return MemRefType::get(dynamic, element, layout);
}

func::FuncOp moe::getHostAppend(ModuleOp module, Type element, int64_t rank) {
  MLIRContext *context = module.getContext();
  std::string name;
  llvm::raw_string_ostream(name) << kHostAppend << element << '_' << rank;
  SmallVector<Type> arguments(4, IntegerType::get(context, 64));
  // Not a memref: whoever calls a function owns the memrefs that it returns.
  LLVMTypeConverter converter(context);
  return getOrDeclare(module, name, arguments,
                      converter.convertType(getAppendedType(element, rank)));
}

func::FuncOp moe::getHostExchange(ModuleOp module, HostExchange kind) {
  Type p = LLVM::LLVMPointerType::get(module.getContext());
  Type i64 = IntegerType::get(module.getContext(), 64);
  switch (kind) {
  case HostExchange::Begin:
    return getOrDeclare(module, kHostExchangeBegin, {i64, p, i64, i64, i64},
                        i64);
  case HostExchange::Dispatch:
    return getOrDeclare(module, kHostExchangeDispatch,
                        {i64, p, i64, i64, p, i64, p, p, p});
  case HostExchange::Combine:
    return getOrDeclare(module, kHostExchangeCombine,
                        {i64, p, i64, i64, p, i64, i64});
  case HostExchange::Wait:
    break;
  }
  return getOrDeclare(module, kHostExchangeWait, {i64});
}
