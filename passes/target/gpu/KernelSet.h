//===- KernelSet.h - the kernels of a module ------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_GPU_KERNELSET_H
#define PASSES_TARGET_GPU_KERNELSET_H

#include "passes/target/gpu/DeviceCalls.h"

#include "mlir/IR/IRMapping.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {

/// The numbers that a kernel gets: the address where failures are recorded, and
/// what makes up the values of the host that it uses. Static extents, strides
/// and offsets of buffers are known to the kernel already.
class KernelArguments {
public:
  /// Emits what takes the values apart, before a launch.
  static FailureOr<KernelArguments>
  collect(ImplicitLocOpBuilder &b, Operation *user, ValueRange captures);

  SmallVector<Type> getTypes() const;
  ValueRange getValues() const { return values; }
  Value getFailure(func::FuncOp kernel) const { return kernel.getArgument(0); }

  /// Puts the values together again inside of `kernel`.
  void unpack(ImplicitLocOpBuilder &k, func::FuncOp kernel,
              IRMapping &mapping) const;

private:
  SmallVector<Value> captures;
  SmallVector<Value> values;
};

/// On a kernel: the threads of a block, until `gpu-mark-kernels`.
constexpr llvm::StringLiteral kKernelThreads = "moe.threads";

/// Kernels are functions of a module of their own, without a result. Loops that
/// differ in their buffers only share a kernel.
class KernelSet {
public:
  explicit KernelSet(ModuleOp module);

  /// A kernel with an empty body for blocks of `threads` threads.
  func::FuncOp create(Location loc, TypeRange arguments, int64_t threads);

  /// Replaces failed assertions, and moves stack buffers to the entry.
  void finish(func::FuncOp kernel, Value failure);

  /// The kernel that does the same as `kernel`, which is erased if that is
  /// another.
  func::FuncOp unify(func::FuncOp kernel);

  /// The number of the thread in the grid.
  Value emitThread(ImplicitLocOpBuilder &k, int64_t blockThreads);

  /// Whether no kernel of the run has failed so far: what a failed one leaves
  /// behind must not be used.
  Value emitIsRunning(ImplicitLocOpBuilder &k, Value failure);

  /// The address of the dynamic shared memory.
  Value emitSharedMemory(ImplicitLocOpBuilder &k);

  /// Launches `kernel` with `blocks` blocks and `shared` bytes of dynamic
  /// shared memory.
  void emitLaunch(ImplicitLocOpBuilder &b, func::FuncOp kernel, Value blocks,
                  const KernelArguments &arguments, int64_t shared = 0);

  ModuleOp getKernelModule() const { return kernels; }

private:
  func::FuncOp getFailFunction();
  Value emitName(ImplicitLocOpBuilder &b, StringRef name);

  ModuleOp module, kernels;
  DenseMap<size_t, SmallVector<func::FuncOp>> known;
  unsigned next = 0;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_KERNELSET_H
