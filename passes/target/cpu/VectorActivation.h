//===- VectorActivation.h - activations of experts on vectors ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_VECTORACTIVATION_H
#define PASSES_TARGET_CPU_VECTORACTIVATION_H

#include "dialects/moe/MoEDialect.h"

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {

/// Emits the hidden value of an expert from its gate, which may be null, and
/// its up projection, both of f32.
Value emitActivation(ImplicitLocOpBuilder &b, ActivationAttr activation,
                     Value gate, Value up);

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_VECTORACTIVATION_H
