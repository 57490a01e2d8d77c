//===- DeviceCalls.h - what host code asks of a device --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The functions of MoertDevice (runtime/core/DeviceInterface.h) as host code
// sees them before the LLVM conversion. `gpu-emit-device-table` gives them
// bodies.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_GPU_DEVICECALLS_H
#define PASSES_TARGET_GPU_DEVICECALLS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::moe {

/// In the order of the fields of MoertDevice.
enum class DeviceCall {
  Allocate,
  Release,
  Write,
  Read,
  Copy,
  Constant,
  Weights,
  Failure,
  Launch
};
constexpr unsigned kDeviceCallCount = 9;

/// The name of the function that stands for `call` in a module.
StringRef getDeviceCallName(DeviceCall call);

/// Calls it; returns its result, if it has one.
Value callDevice(OpBuilder &builder, Location loc, DeviceCall call,
                 ValueRange operands);

/// Room for a value of `type` in the frame of the function around `builder`.
Value allocateInFrame(OpBuilder &builder, Location loc, Type type);

/// The module with the kernels, inside of the one with the host's code.
constexpr llvm::StringLiteral kKernelModule = "kernels";

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_DEVICECALLS_H
