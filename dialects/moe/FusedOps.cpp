//===- FusedOps.cpp - level 3 of the moe dialect ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"
#include "dialects/moe/Verification.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult RoutePermuteOp::verify() {
  if (failed(verifyRouter(*this)))
    return failure();
  int64_t experts = getExtent(getLogits(), 1);
  // route_c1
  for (auto [name, value] : {std::make_pair("ids", Value(getIds())),
                             std::make_pair("weights", Value(getWeights()))})
    if (failed(verifyExtents(*this, "number of tokens", name,
                             getExtent(value, 0), "logits",
                             getExtent(getLogits(), 0))) ||
        failed(verifyExtents(*this, "number of chosen experts", name,
                             getExtent(value, 1), "top_k", getTopK())))
      return failure();
  // route_permute_c6
  return verifyExtents(*this, "number of offsets", "logits", experts + 1,
                       "offsets", getExtent(getOffsets(), 0));
}

LogicalResult FusedFFNOp::verify() {
  int64_t experts = getExtent(getUp(), 0);
  // fused_ffn_c1
  if (!ShapedType::isDynamic(experts) &&
      failed(verifyExtents(*this, "number of offsets", "up", experts + 1,
                           "offsets", getExtent(getOffsets(), 0))))
    return failure();
  for (auto [name, value] : {std::make_pair("gate", Value(getGate())),
                             std::make_pair("down", Value(getDown()))})
    if (value && failed(verifyExtents(*this, "number of experts", name,
                                      getExtent(value, 0), "up", experts)))
      return failure();
  // experts_c2, experts_c3
  if (failed(verifyProjections(*this, getX(), getGate(), getUp(), getDown(),
                               getResult(), /*shared=*/false)) ||
      failed(verifyBiases(*this, getGate(), getUp(), getDown(), getGateBias(),
                          getUpBias(), getDownBias())))
    return failure();
  // fused_ffn_c4
  if (failed(verifyExtents(*this, "number of tokens", "x", getExtent(getX(), 0),
                           "weights", getExtent(getWeights(), 0))))
    return failure();
  return verifyExtents(*this, "number of tokens", "x", getExtent(getX(), 0),
                       "result", getExtent(getResult(), 0));
}
