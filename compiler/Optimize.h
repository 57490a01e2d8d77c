//===- Optimize.h - the optimiser of LLVM ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_OPTIMIZE_H
#define COMPILER_OPTIMIZE_H

namespace llvm {
class Module;
class TargetMachine;
} // namespace llvm

namespace mlir::moe {

/// Runs the default pipeline of LLVM; with `sanitize` accesses to memory are
/// checked by AddressSanitizer.
void optimizeModule(llvm::Module &module, llvm::TargetMachine &machine,
                    bool sanitize);

} // namespace mlir::moe

#endif // COMPILER_OPTIMIZE_H
