//===- GroupedProducts.cpp - single products with matrices of experts -------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   result[a, :] = x[a / K, :] * W[ids[a]] + b[ids[a]]
//
// What is left when no network of an expert is known: projections of attention
// heads that tokens choose, low-rank updates, functions without a name. As
// written, a matrix is copied for each assignment. Here assignments are ordered
// by expert, multiplied in groups and brought back into their own order.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/BlockRaiser.h"
#include "passes/convert/raise/ExpertStacks.h"
#include "passes/convert/raise/RowBuilder.h"

using namespace mlir;
using namespace mlir::moe;

bool moe::raiseGroupedProduct(Value result,
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
  std::optional<LinearMatch> linear = matchLinear(tracer, indexed, out);
  if (!linear || !linear->matrix.ids || !linear->gates.empty() ||
      !linear->summed.empty())
    return false;
  int64_t experts = tracer.getExtent(linear->matrix.expert);
  if (experts < 2)
    return false;

  OpBuilder builder(result.getContext());
  builder.setInsertionPointAfterValue(result);
  Location loc = result.getLoc();
  Type element = type.getElementType();
  std::optional<ExpertLinear> stack =
      StackBuilder(builder, loc, tracer).getStack(*linear);
  if (!stack)
    return false;
  // Slots of a token read the same row of x.
  int64_t slots = 1;
  SmallVector<int> tokens(places);
  if (!tokens.empty() && !linear->x.dependsOn(tokens.back()) &&
      !ShapedType::isDynamic(tracer.getExtent(tokens.back())))
    slots = tracer.getExtent(tokens.pop_back_val());
  RowBuilder assignments(builder, loc, tracer, places);
  RowBuilder rowsOfX(builder, loc, tracer, tokens);
  for (RowBuilder *rows : {&assignments, &rowsOfX}) {
    rows->learnExtents(linear->x);
    rows->learnExtents(linear->matrix.ids);
  }
  Value x = rowsOfX.build(linear->x, linear->in);
  Value ids = assignments.build(linear->matrix.ids, Digit::kNone);
  Value ones = assignments.buildFilled(builder.getFloatAttr(element, 1.0), 1);
  if (!x || !ids || !ones)
    return false;
  if (getTensorType(x).getElementType() != element)
    x = buildCast(builder, loc, x, element);
  int64_t count = getTensorType(ids).getDimSize(0);
  Type i32 = builder.getI32Type();
  auto permute = PermuteOp::create(
      builder, loc, RankedTensorType::get({count}, i32),
      RankedTensorType::get({experts + 1}, i32), ids, experts);
  auto matrixType = RankedTensorType::get({count, width}, element);
  Value products = GroupedMatmulOp::create(
      builder, loc, matrixType, x, stack->weights.build(builder, loc),
      permute.getOffsets(), permute.getRows(), stack->bias,
      builder.getI64IntegerAttr(slots));
  Value ordered = CombineOp::create(builder, loc, matrixType, products,
                                    permute.getRows(), ones);
  Value restored = assignments.restore(ordered, type);
  if (!restored)
    return false;
  result.replaceAllUsesWith(restored);
  raised.push_back(
      {loc, "grouped products", experts, slots,
       ActivationAttr::get(builder.getContext(), ActivationKind::Identity)});
  return true;
}
