//===- DeviceCalls.cpp - what host code asks of a device ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/DeviceCalls.h"

using namespace mlir;
using namespace mlir::moe;

StringRef moe::getDeviceCallName(DeviceCall call) {
  static constexpr StringLiteral names[kDeviceCallCount] = {
      "moert_device_allocate", "moert_device_release", "moert_device_write",
      "moert_device_read",     "moert_device_copy",    "moert_device_constant",
      "moert_device_weights",  "moert_device_failure", "moert_device_launch"};
  return names[static_cast<unsigned>(call)];
}

/// The signature of a call, with every pointer as one to the host's memory.
static FunctionType getSignature(MLIRContext *context, DeviceCall call) {
  Type pointer = LLVM::LLVMPointerType::get(context);
  Type i64 = IntegerType::get(context, 64);
  switch (call) {
  case DeviceCall::Allocate:
    return FunctionType::get(context, {i64}, {pointer});
  case DeviceCall::Release:
    return FunctionType::get(context, {pointer}, {});
  case DeviceCall::Write:
  case DeviceCall::Read:
  case DeviceCall::Copy:
    return FunctionType::get(context, {pointer, pointer, i64}, {});
  case DeviceCall::Constant:
    return FunctionType::get(context, {pointer, i64}, {pointer});
  case DeviceCall::Weights:
  case DeviceCall::Failure:
    return FunctionType::get(context, {}, {pointer});
  case DeviceCall::Launch:
    return FunctionType::get(context, {pointer, i64, i64, i64, pointer}, {});
  }
  llvm_unreachable("unknown call");
}

static ModuleOp getOutermostModule(OpBuilder &builder) {
  Operation *op = builder.getInsertionBlock()->getParentOp();
  while (Operation *parent = op->getParentOp())
    op = parent;
  return cast<ModuleOp>(op);
}

Value moe::callDevice(OpBuilder &builder, Location loc, DeviceCall call,
                      ValueRange operands) {
  ModuleOp module = getOutermostModule(builder);
  StringRef name = getDeviceCallName(call);
  auto function = module.lookupSymbol<func::FuncOp>(name);
  if (!function) {
    OpBuilder top = OpBuilder::atBlockBegin(module.getBody());
    function = func::FuncOp::create(top, module.getLoc(), name,
                                    getSignature(builder.getContext(), call));
    function.setPrivate();
  }
  auto result = func::CallOp::create(builder, loc, function, operands);
  return result.getNumResults() ? result.getResult(0) : Value();
}

Value moe::allocateInFrame(OpBuilder &builder, Location loc, Type type) {
  Operation *parent = builder.getInsertionBlock()->getParentOp();
  auto function = dyn_cast<func::FuncOp>(parent);
  if (!function)
    function = parent->getParentOfType<func::FuncOp>();
  OpBuilder entry = OpBuilder::atBlockBegin(&function.front());
  Value one = LLVM::ConstantOp::create(entry, loc, entry.getI64IntegerAttr(1));
  return LLVM::AllocaOp::create(
      entry, loc, LLVM::LLVMPointerType::get(builder.getContext()), type, one);
}
