//===- CostModel.h - what a run of a module takes -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_ARTIFACT_COSTMODEL_H
#define COMPILER_ARTIFACT_COSTMODEL_H

#include "mlir/IR/BuiltinOps.h"
#include "llvm/Support/JSON.h"

namespace mlir::moe {

/// The work of the kern operations of `module`, for the manifest:
///
///   flops            of products whose number of rows is fixed
///   flops_per_token  of all others, experts included
///   bytes            of packed weights that every run reads
///   experts          for each stack of matrices of experts: the `count` of
///                    experts, how many of them (`slots`) a token visits, and
///                    the `bytes` of one of them
///
/// Products with unknown inner extents, such as those of attention, are not
/// counted.
llvm::json::Object describeCost(ModuleOp module);

} // namespace mlir::moe

#endif // COMPILER_ARTIFACT_COSTMODEL_H
