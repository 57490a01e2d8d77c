//===- DescribeModel.h - the expert layers of a module ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_DESCRIBEMODEL_H
#define PASSES_PLAN_DESCRIBEMODEL_H

#include "dialects/moe/MoEDialect.h"
#include "passes/plan/placement/ExpertModel.h"

#include "mlir/IR/BuiltinOps.h"

namespace mlir::moe {

/// Every `moe.fused_ffn` of known extents, in order.
SmallVector<FusedFFNOp> getExpertLayers(ModuleOp module);

/// The ids that the order of `op` was made from, or a null value.
Value getExpertIds(FusedFFNOp op);

ExpertLayer describeLayer(FusedFFNOp op);

/// The layers of `getExpertLayers` and the bytes of all other weights.
ExpertModel describeModel(ModuleOp module);

} // namespace mlir::moe

#endif // PASSES_PLAN_DESCRIBEMODEL_H
