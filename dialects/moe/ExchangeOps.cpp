//===- ExchangeOps.cpp - level 4 of the moe dialect ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"
#include "dialects/moe/Verification.h"

using namespace mlir;
using namespace mlir::moe;

using Effects =
    SmallVectorImpl<SideEffects::EffectInstance<MemoryEffects::Effect>>;

/// What other ranks see, and what is read and written of buffers.
static void addEffects(Operation *op, Effects &effects) {
  effects.emplace_back(MemoryEffects::Read::get());
  effects.emplace_back(MemoryEffects::Write::get());
  auto destination = dyn_cast<DestinationStyleOpInterface>(op);
  for (OpOperand &operand : op->getOpOperands()) {
    if (!isa<BaseMemRefType>(operand.get().getType()))
      continue;
    if (destination && destination.isDpsInit(&operand))
      effects.emplace_back(MemoryEffects::Write::get(), &operand);
    else
      effects.emplace_back(MemoryEffects::Read::get(), &operand);
  }
}

void ExchangeBeginOp::getEffects(Effects &effects) {
  addEffects(*this, effects);
}

void ExchangeDispatchOp::getEffects(Effects &effects) {
  addEffects(*this, effects);
}

void ExchangeCombineOp::getEffects(Effects &effects) {
  addEffects(*this, effects);
}

void ExchangeWaitOp::getEffects(Effects &effects) {
  addEffects(*this, effects);
}

LogicalResult ExchangeBeginOp::verify() {
  // exchange_begin_c1
  if (ShapedType::isDynamic(getExtent(getIds(), 1)))
    return emitOpError() << "expected a known number of slots";
  return success();
}

LogicalResult ExchangeDispatchOp::verify() {
  // exchange_dispatch_c1
  if (getInits().size() != 3)
    return emitOpError() << "expected three buffers to write to, got "
                         << getInits().size();
  Type elements[] = {getElementTypeOrSelf(getX()),
                     IntegerType::get(getContext(), 32),
                     Float32Type::get(getContext())};
  for (auto [i, init] : llvm::enumerate(getInits())) {
    if (getElementTypeOrSelf(init) != elements[i])
      return emitOpError() << "expected numbers of type " << elements[i]
                           << " in output " << i << ", got "
                           << getElementTypeOrSelf(init);
    if (failed(verifyExtents(*this, "width", i == 0 ? "x" : "weights",
                             getExtent(i == 0 ? getX() : getWeights(), 1),
                             "outputs", getExtent(init, 1))))
      return failure();
  }
  return success();
}

LogicalResult ExchangeCombineOp::verify() {
  // exchange_combine_c1
  return verifyExtents(*this, "width", "sums", getExtent(getSums(), 1), "init",
                       getExtent(getInit(), 1));
}

LogicalResult ExchangeWaitOp::verify() {
  // exchange_wait_c1
  return verifyExtents(*this, "width", "sums", getExtent(getSums(), 1), "init",
                       getExtent(getInit(), 1));
}
