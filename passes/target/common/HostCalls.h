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

constexpr llvm::StringLiteral kHostArena = "moert_arena";
constexpr llvm::StringLiteral kHostThreadCount = "moert_thread_count";
constexpr llvm::StringLiteral kHostThreadIndex = "moert_thread_index";
constexpr llvm::StringLiteral kHostMark = "moert_mark";
constexpr llvm::StringLiteral kHostExchangeBegin = "moert_exchange_begin";
constexpr llvm::StringLiteral kHostExchangeDispatch = "moert_exchange_dispatch";
constexpr llvm::StringLiteral kHostExchangeCombine = "moert_exchange_combine";
constexpr llvm::StringLiteral kHostExchangeWait = "moert_exchange_wait";
/// Followed by the element type and the rank.
constexpr llvm::StringLiteral kHostAppend = "moert_append_";
/// Followed by the types of ids and weights; see `moe-record-routing`.
constexpr llvm::StringLiteral kHostRecordRouting = "moert_record_routing_";

/// On `main`: the index of each result among the outputs of the model, an array
/// of i64. Without it they are the outputs.
constexpr llvm::StringLiteral kOutputIndices = "moe.output_indices";
/// On `main`: the outputs that are no results since they grow in place, an
/// array of dictionaries with `input`, `output`, `axis` and the `type` and
/// `attributes` that the result had.
constexpr llvm::StringLiteral kStates = "moe.states";

/// `moert_fail(message: !llvm.ptr, value: i64)`
func::FuncOp getHostFail(ModuleOp module);

/// `moert_parallel(body: !llvm.ptr, context: !llvm.ptr, count: i64,
/// grain: i64)`
func::FuncOp getHostParallel(ModuleOp module);

/// `moert_arena(bytes: i64) -> !llvm.ptr`
func::FuncOp getHostArena(ModuleOp module);

/// `moert_thread_count() -> i64`, `moert_thread_index() -> i64`
func::FuncOp getHostThreadCount(ModuleOp module);
func::FuncOp getHostThreadIndex(ModuleOp module);

/// `moert_mark(name: !llvm.ptr)`
func::FuncOp getHostMark(ModuleOp module);

/// `moert_append_TYPE_RANK(input: i64, output: i64, axis: i64, extent: i64)`,
/// which returns the descriptor of a memref.
func::FuncOp getHostAppend(ModuleOp module, Type element, int64_t rank);

enum class HostExchange { Begin, Dispatch, Combine, Wait };

/// What `exchange_begin`, `exchange_dispatch`, `exchange_combine` and
/// `exchange_wait` of the host take, with i64 and !llvm.ptr.
func::FuncOp getHostExchange(ModuleOp module, HostExchange kind);

/// The type of that memref: all extents and all strides but the last one are
/// dynamic.
MemRefType getAppendedType(Type element, int64_t rank);

} // namespace mlir::moe

#endif // PASSES_TARGET_COMMON_HOSTCALLS_H
