//===- HostCalls.h - declarations of host functions -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The functions of MoertHost (runtime/core/HostInterface.h) as generated code
// sees them before the LLVM conversion. `moe-emit-entry` gives them bodies.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_COMMON_HOSTCALLS_H
#define PASSES_TARGET_COMMON_HOSTCALLS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace mlir::moe {

constexpr llvm::StringLiteral kHostFail = "moert_fail";
constexpr llvm::StringLiteral kHostParallel = "moert_parallel";

/// `moert_fail(message: !llvm.ptr, value: i64)`
func::FuncOp getHostFail(ModuleOp module);

/// `moert_parallel(body: !llvm.ptr, context: !llvm.ptr, count: i64,
/// grain: i64)`
func::FuncOp getHostParallel(ModuleOp module);

} // namespace mlir::moe

#endif // PASSES_TARGET_COMMON_HOSTCALLS_H
