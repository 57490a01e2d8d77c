//===- Dispatch.h - tokens in places of experts -----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_DISPATCH_H
#define PASSES_CONVERT_RAISE_DISPATCH_H

#include "passes/convert/raise/ExpertBody.h"

namespace mlir::moe {

/// Sees through the places of experts with a capacity:
///
///   rows[e, c] = sum over t of dispatch[t, e, c] * x[t]
///   y[t]       = sum over e, c of combine[t, e, c] * FFN_e(rows[e, c])
///
/// At most one token has a place, and `combine` is zero where `dispatch` is:
/// the row of a place is the row of its token. Makes `network` read x[t], with
/// `gates` that are summed over the places.
bool matchDispatch(Tracer &tracer, FeedForward &network,
                   ArrayRef<IndexedValue> gates, ArrayRef<int> tokens,
                   int expert);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_DISPATCH_H
