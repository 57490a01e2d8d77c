//===- HostCalls.cpp - declarations of host functions -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/HostCalls.h"

#include "mlir/Dialect/LLVMIR/LLVMTypes.h"
#include "mlir/IR/Builders.h"

using namespace mlir;

static func::FuncOp getOrDeclare(ModuleOp module, StringRef name,
                                 TypeRange arguments) {
  if (auto function = module.lookupSymbol<func::FuncOp>(name))
    return function;
  OpBuilder builder = OpBuilder::atBlockBegin(module.getBody());
  auto function = func::FuncOp::create(
      builder, module.getLoc(), name,
      FunctionType::get(module.getContext(), arguments, {}));
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
