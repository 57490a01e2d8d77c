//===- Emission.h - from the LLVM dialect to a shared object ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_EMISSION_H
#define COMPILER_EMISSION_H

#include "mlir/IR/BuiltinOps.h"

#include <vector>

namespace mlir::moe {

/// A module on its way to native code. Translation reads the MLIR module; after
/// it the emission has all it needs and may go on in another thread.
class CodeEmission {
public:
  CodeEmission();
  CodeEmission(CodeEmission &&);
  ~CodeEmission();

  /// Translates a module in the LLVM dialect (see `moe-emit-entry`) for `isa`,
  /// an x86-64 level such as "x86-64-v3". With `sanitize` every access to
  /// memory is checked by AddressSanitizer, whose runtime has to be in the
  /// process that runs the code.
  LogicalResult translate(ModuleOp module, StringRef isa, bool sanitize);

  /// Compiles and links what was translated into `object`, an ELF shared object
  /// that exports what runtime/core/HostInterface.h lists.
  LogicalResult emit(std::vector<char> &object);

private:
  struct State;
  std::unique_ptr<State> state;
};

} // namespace mlir::moe

#endif // COMPILER_EMISSION_H
