//===- MoEBufferization.h - exchanges on buffers ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_MOE_MOEBUFFERIZATION_H
#define DIALECTS_MOE_MOEBUFFERIZATION_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace mlir::moe {

/// Lets one-shot bufferization turn the operands of exchanges into buffers. All
/// other operations of the dialect are lowered before.
void registerBufferizableOpInterfaceExternalModels(DialectRegistry &registry);

} // namespace mlir::moe

#endif // DIALECTS_MOE_MOEBUFFERIZATION_H
