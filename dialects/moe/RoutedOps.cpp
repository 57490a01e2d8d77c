//===- RoutedOps.cpp - level 1 of the moe dialect ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"
#include "dialects/moe/Verification.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult RouteOp::verify() {
  if (failed(verifyRouter(*this)))
    return failure();
  RoutingType routing = getType();
  // route_c1
  if (failed(verifyExtents(*this, "number of tokens", "logits",
                           getExtent(getLogits(), 0), "result",
                           routing.getTokens())) ||
      failed(verifyExtents(*this, "number of chosen experts", "top_k",
                           getTopK(), "result", routing.getSlots())))
    return failure();
  return verifyExtents(*this, "number of experts", "logits",
                       getExtent(getLogits(), 1), "result",
                       routing.getExperts());
}

LogicalResult AssignOp::verify() {
  RoutingType routing = getType();
  // assign_c1
  for (auto [name, value] : {std::make_pair("ids", Value(getIds())),
                             std::make_pair("weights", Value(getWeights()))})
    if (failed(verifyExtents(*this, "number of tokens", name,
                             getExtent(value, 0), "result",
                             routing.getTokens())) ||
        failed(verifyExtents(*this, "number of slots", name,
                             getExtent(value, 1), "result",
                             routing.getSlots())))
      return failure();
  return success();
}

LogicalResult ExpertsOp::verify() {
  RoutingType routing = getRouting().getType();
  // experts_c1
  for (auto [name, value] : {std::make_pair("gate", Value(getGate())),
                             std::make_pair("up", Value(getUp())),
                             std::make_pair("down", Value(getDown()))})
    if (value && failed(verifyExtents(*this, "number of experts", name,
                                      getExtent(value, 0), "routing",
                                      routing.getExperts())))
      return failure();
  // experts_c2, experts_c3
  if (failed(verifyProjections(*this, getX(), getGate(), getUp(), getDown(),
                               getResult(), /*shared=*/false)) ||
      failed(verifyBiases(*this, getGate(), getUp(), getDown(), getGateBias(),
                          getUpBias(), getDownBias())))
    return failure();
  // experts_c4
  if (failed(verifyExtents(*this, "number of tokens", "x", getExtent(getX(), 0),
                           "routing", routing.getTokens())))
    return failure();
  return verifyExtents(*this, "number of tokens", "x", getExtent(getX(), 0),
                       "result", getExtent(getResult(), 0));
}

LogicalResult SharedOp::verify() {
  // shared_c1
  if (failed(verifyProjections(*this, getX(), getGate(), getUp(), getDown(),
                               getResult(), /*shared=*/true)))
    return failure();
  // shared_c2
  if (getTokenGate() && getExtent(getTokenGate(), 1) != 1)
    return emitOpError() << "expected one column in 'token_gate', got "
                         << getTokenGate().getType();
  return success();
}
