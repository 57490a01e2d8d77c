//===- Register.h - what the tools know about -------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_REGISTER_H
#define COMPILER_REGISTER_H

namespace mlir {
class DialectRegistry;
namespace moe {

/// Adds our dialects, the upstream dialects that our passes produce, and the
/// interface implementations that the lowering needs.
void registerDialects(DialectRegistry &registry);

/// Registers our passes and pipelines under their command-line names.
void registerPasses();

} // namespace moe
} // namespace mlir

#endif // COMPILER_REGISTER_H
