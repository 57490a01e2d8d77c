//===- KernBufferization.h - kern operations on buffers ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_KERN_KERNBUFFERIZATION_H
#define DIALECTS_KERN_KERNBUFFERIZATION_H

namespace mlir {
class DialectRegistry;
namespace kern {

/// Lets One-Shot Bufferize handle the operations of the dialect.
void registerBufferizableOpInterfaceExternalModels(DialectRegistry &registry);

} // namespace kern
} // namespace mlir

#endif // DIALECTS_KERN_KERNBUFFERIZATION_H
