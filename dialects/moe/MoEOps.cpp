//===- MoEOps.cpp - verifiers of moe operations------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"

using namespace mlir;
using namespace mlir::moe;

#define GET_OP_CLASSES
#include "dialects/moe/MoEOps.cpp.inc"

LogicalResult WeightOp::verify() { return success(); }
LogicalResult RouteOp::verify() { return success(); }
LogicalResult AssignOp::verify() { return success(); }
LogicalResult ExpertsOp::verify() { return success(); }
LogicalResult SharedOp::verify() { return success(); }
LogicalResult UnpackOp::verify() { return success(); }
LogicalResult PermuteOp::verify() { return success(); }
LogicalResult GroupedMatmulOp::verify() { return success(); }
LogicalResult CombineOp::verify() { return success(); }
LogicalResult RoutePermuteOp::verify() { return success(); }
LogicalResult FusedFFNOp::verify() { return success(); }
void UnpackOp::getCanonicalizationPatterns(RewritePatternSet &, MLIRContext *) {}
