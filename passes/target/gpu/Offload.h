//===- Offload.h - what runs on a device ----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_GPU_OFFLOAD_H
#define PASSES_TARGET_GPU_OFFLOAD_H

#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/IR/BuiltinTypes.h"

namespace mlir::moe {

/// The memory space of buffers in the memory of a device, as in LLVM and PTX.
constexpr unsigned kDeviceSpace = 1;

bool isOnDevice(Type type);

/// The same buffer in the memory of a device.
MemRefType getDeviceType(MemRefType type);

/// Whether `op` is an operation of the kern dialect on buffers for which
/// `gpu-lower-kern-to-mma` has kernels: numbers are bf16 in panels of depth 2,
/// or f16, extents but that of the rows are static, the inner one a multiple of
/// 32, the columns a multiple of 8.
bool canUseTensorCores(Operation *op);

/// Whether `op`, with all inside it, can be one kernel.
bool isOffloadable(Operation *op);

/// Whether a parallel loop only computes a few numbers of shapes.
bool isShapeArithmetic(scf::ParallelOp loop);

/// Calls `visit` for the outermost loops of `region` that can be kernels.
void forEachCandidate(Region &region, function_ref<void(Operation *)> visit);

/// The buffers from outside that the operations inside `op` use.
SmallVector<Value> getOuterBuffers(Operation *op);

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_OFFLOAD_H
