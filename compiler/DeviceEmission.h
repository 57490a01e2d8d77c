//===- DeviceEmission.h - from kernels in the LLVM dialect to PTX ---------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_DEVICEEMISSION_H
#define COMPILER_DEVICEEMISSION_H

#include "mlir/IR/BuiltinOps.h"

#include <string>
#include <vector>

namespace mlir::moe {

/// What the assembler says about a kernel.
struct KernelFigures {
  std::string name;
  int64_t registers = 0;
  /// Bytes of static shared memory, of stack, and of registers spilled.
  int64_t shared = 0, stack = 0, spilled = 0;
};

/// The kernels of a program for one architecture.
struct DeviceCode {
  /// Such as "sm_80".
  std::string arch;
  std::string ptx;
  /// Machine code and its figures; empty where no assembler was found.
  std::vector<char> cubin;
  std::vector<KernelFigures> kernels;
};

/// The architectures that code can be generated for.
ArrayRef<StringRef> getDeviceArchitectures();

/// Compiles the module of kernels (LLVM and NVVM dialects) to the PTX of
/// `code.arch`.
LogicalResult emitPTX(ModuleOp kernels, DeviceCode &code);

/// Assembles `code.ptx` with ptxas, where that is found: beside CUDA_HOME, on
/// the search path or in /usr/local/cuda. `MOE_PTXAS` names another one; empty:
/// none. Without an assembler the driver compiles the PTX when it is loaded.
LogicalResult assemble(Location loc, DeviceCode &code);

} // namespace mlir::moe

#endif // COMPILER_DEVICEEMISSION_H
