//===- TensorHandlers.h - code of tensor cores and asynchronous copies --*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_EXECUTE_TENSORHANDLERS_H
#define RUNTIME_DEVICE_EMULATED_EXECUTE_TENSORHANDLERS_H

#include "runtime/device/emulated/vector/Instruction.h"

namespace emulated {

#define EMULATED_HANDLER(NAME) void NAME(Lanes &, const Instruction &, uint32_t)

// mbarrier. `addresses[0]` is the object; operands follow those of PTX.
EMULATED_HANDLER(mbarrierInit);
EMULATED_HANDLER(mbarrierInvalidate);
/// `flags`: MbarrierFlags.
EMULATED_HANDLER(mbarrierArrive);
EMULATED_HANDLER(mbarrierWait);

enum MbarrierFlags : uint32_t {
  kMbarrierArrives = 1,
  kMbarrierExpects = 2,
  kMbarrierCompletes = 4,
  kMbarrierDrops = 8,
  kMbarrierParity = 16,
};

// cp.async: `count` bytes from addresses[1] to addresses[0]; the operand, if
// there is one, limits the bytes that are read.
EMULATED_HANDLER(copyAsync);
EMULATED_HANDLER(copyAsyncCommit);
/// `immediate` groups may stay; -1 in `target` waits for copies of no group
/// too.
EMULATED_HANDLER(copyAsyncWait);
/// `flags` 1: noinc.
EMULATED_HANDLER(copyAsyncArrive);

// Bulk copies: addresses[0] is in shared memory (of a store, in global memory);
// addresses[2] is the mbarrier. Of tensors, addresses[1] is the descriptor and
// `immediate` the rank.
EMULATED_HANDLER(copyBulkLoad);
EMULATED_HANDLER(copyBulkStore);
EMULATED_HANDLER(copyTensorLoad);
EMULATED_HANDLER(copyTensorStore);
EMULATED_HANDLER(copyBulkCommit);
EMULATED_HANDLER(copyBulkWait);

/// The copy goes to the CTAs of a mask.
constexpr uint32_t kBulkMulticast = 1;

// Matrices. `count` tiles of 8 x 8; `flags` 1: transposed.
EMULATED_HANDLER(loadMatrix);
EMULATED_HANDLER(storeMatrix);
/// A product of m16 n8 k`count`; `type` and `source` are those of A and B.
/// `immediate`: the registers of A, those of B in bits 8-15.
EMULATED_HANDLER(multiplyMatrix);

// wgmma: n is `count`; `flags`: WgmmaFlags.
enum WgmmaFlags : uint32_t {
  kWgmmaRegisters = 1, ///< A is in registers
  kWgmmaTransposeA = 2,
  kWgmmaTransposeB = 4,
  kWgmmaNegateA = 8,
  kWgmmaNegateB = 16,
  kWgmmaHalf = 32, ///< sums of f16
  kWgmmaInteger = 64,
};
EMULATED_HANDLER(wgmmaFence);
EMULATED_HANDLER(wgmmaCommit);
EMULATED_HANDLER(wgmmaWait);
EMULATED_HANDLER(wgmmaMultiply);

// tcgen05. Loads and stores: `immediate` is 32, 256 or (16x32bx2) 16.
// Products: `flags` 1: A is in tensor memory; 4-5: 0 f16, 1 tf32, 2 f8f6f4,
// 3 i8.
EMULATED_HANDLER(tensorMemoryAllocate);
EMULATED_HANDLER(tensorMemoryFree);
EMULATED_HANDLER(tensorMemoryLoad);
EMULATED_HANDLER(tensorMemoryStore);
EMULATED_HANDLER(tensorMemoryCopy);
EMULATED_HANDLER(tensorMultiply);
EMULATED_HANDLER(tensorCommit);

#undef EMULATED_HANDLER

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_EXECUTE_TENSORHANDLERS_H
