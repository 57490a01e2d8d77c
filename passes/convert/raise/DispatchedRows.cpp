//===- DispatchedRows.cpp - experts with rows of their own ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   result[..., e, ..., h] = FFN_e(rows[..., e, ...])[h]
//
// The graph itself has brought rows to experts, in a way that no other form
// knows: experts that choose tokens, places in a buffer, mixtures of tokens.
// Every row is an assignment of its own, to the expert that its place says.
// What fills the rows and what becomes of the results stays as it is.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/BlockRaiser.h"
#include "passes/convert/raise/ExpertStacks.h"
#include "passes/convert/raise/RowBuilder.h"

using namespace mlir;
using namespace mlir::moe;

bool moe::raiseDispatchedRows(Value result,
                              SmallVectorImpl<RaisedBlock> &raised) {
  RankedTensorType type = getTensorType(result);
  Tracer tracer;
  IndexedValue indexed = tracer.addLabels(result);
  // Behind the width there may be dimensions of extent 1.
  SmallVector<int> places = indexed.getLabels();
  if (places.empty() || !isa<FloatType>(type.getElementType()))
    return false;
  int out = places.pop_back_val();
  int64_t width = tracer.getExtent(out);
  if (ShapedType::isDynamic(width))
    return false;
  std::string reason;
  std::optional<FeedForward> network =
      matchFeedForward(tracer, indexed, out, reason);
  if (!network)
    return false;
  int expert = network->down.matrix.expert;
  auto isOfExpert = [&](const LinearMatch &linear) {
    return linear.matrix.expert == expert && !linear.matrix.ids &&
           linear.summed.empty() && linear.gates.empty();
  };
  // Two products in a row without a function between are no expert.
  bool isLinear = !network->gate &&
                  network->activation.getKind() == ActivationKind::Identity;
  if (!llvm::is_contained(places, expert) || isLinear ||
      !isOfExpert(network->up) || !isOfExpert(network->down) ||
      (network->gate && !isOfExpert(*network->gate)) ||
      !network->outputGates.empty() || !network->inputGates.empty())
    return false;

  OpBuilder builder(result.getContext());
  builder.setInsertionPointAfterValue(result);
  Location loc = result.getLoc();
  std::optional<ExpertsMatch> match =
      StackBuilder(builder, loc, tracer).build(*network);
  RowBuilder rows(builder, loc, tracer, places);
  rows.learnExtents(network->x);
  if (!match)
    return false;
  Type element = type.getElementType();
  match->x = rows.build(network->x, network->up.in);
  match->ids = rows.buildCount(expert);
  match->weights = rows.buildFilled(builder.getFloatAttr(element, 1.0), 1);
  match->activation = network->activation;
  if (!match->x || !match->ids || !match->weights)
    return false;
  if (getTensorType(match->x).getElementType() != element)
    match->x = buildCast(builder, loc, match->x, element);
  FailureOr<Value> experts = createExperts(builder, loc, *match, element);
  Value restored = succeeded(experts) ? rows.restore(*experts, type) : Value();
  if (!restored)
    return false;
  result.replaceAllUsesWith(restored);
  raised.push_back({loc, "dispatched rows", match->up.weights.shape[0], 1,
                    network->activation});
  return true;
}
