//===- KernDialect.h - the kern dialect -------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_KERN_KERNDIALECT_H
#define DIALECTS_KERN_KERNDIALECT_H

#include "dialects/moe/MoEDialect.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/kern/KernDialect.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/kern/KernAttributes.h.inc"

namespace mlir::kern {

/// The dimensions of the iteration space of an attention by class.
struct AttentionDims {
  SmallVector<unsigned> batch, rows;
  unsigned key = 0, depth = 0, column = 0;

  /// From the maps of query, key, value and result; fails if a dimension
  /// belongs to no class or one of the last three classes has not one
  /// dimension.
  static FailureOr<AttentionDims> infer(ArrayRef<AffineMap> maps);

  /// The dimensions whose indices the scores may depend on: all but depth and
  /// column, in order.
  SmallVector<unsigned> getIndexed() const;
};

} // namespace mlir::kern

#define GET_OP_CLASSES
#include "dialects/kern/KernOps.h.inc"

#endif // DIALECTS_KERN_KERNDIALECT_H
