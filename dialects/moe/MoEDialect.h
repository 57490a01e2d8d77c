//===- MoEDialect.h - the moe dialect ---------------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Declares the moe dialect: types, attributes and operations. See Rationale.md
// for the symbols, the levels and their invariants.
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_MOE_MOEDIALECT_H
#define DIALECTS_MOE_MOEDIALECT_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <cmath>

#include "dialects/moe/MoEDialect.h.inc"
#include "dialects/moe/MoEEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/moe/MoEAttributes.h.inc"

#define GET_TYPEDEF_CLASSES
#include "dialects/moe/MoETypes.h.inc"

#define GET_OP_CLASSES
#include "dialects/moe/MoEOps.h.inc"

namespace mlir::moe {

/// On a constant that a frontend has read: the `#moe.view` of its numbers, for
/// passes that turn it into a part of a weight.
inline constexpr llvm::StringLiteral kPlaceAttr = "moe.place";

} // namespace mlir::moe

#endif // DIALECTS_MOE_MOEDIALECT_H
