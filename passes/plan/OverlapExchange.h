//===- OverlapExchange.h - work while rows are on their way ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_OVERLAPEXCHANGE_H
#define PASSES_PLAN_OVERLAPEXCHANGE_H

#include "dialects/moe/MoEDialect.h"

namespace mlir::moe {

/// Brings products of matrices that neither need the result of `experts` nor
/// lead to it, such as those of a shared expert, behind it. Returns the
/// operation before which the result has to be there; null if there is nothing
/// to do in the meantime. `begin` is the first operation of the exchange.
Operation *overlapExchange(FusedFFNOp experts, Operation *begin);

} // namespace mlir::moe

#endif // PASSES_PLAN_OVERLAPEXCHANGE_H
