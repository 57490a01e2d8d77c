//===- KernelBuilder.cpp - builder of loops and index arithmetic ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/KernelBuilder.h"

using namespace mlir;
using namespace mlir::moe;

void KernelBuilder::loop(Value lower, Value upper, int64_t step,
                         function_ref<void(Value)> body) {
  auto loop = scf::ForOp::create(*this, lower, upper, index(step));
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(loop.getBody()->getTerminator());
  body(loop.getInductionVar());
}

void KernelBuilder::parallel(ValueRange counts,
                             function_ref<void(ValueRange)> body) {
  SmallVector<Value> lower(counts.size(), index(0)),
      step(counts.size(), index(1));
  auto loop = scf::ParallelOp::create(*this, lower, counts, step);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(loop.getBody()->getTerminator());
  body(loop.getInductionVars());
}

void KernelBuilder::branch(Value condition, function_ref<void()> yes,
                           function_ref<void()> no) {
  auto choice = scf::IfOp::create(*this, condition, /*withElseRegion=*/true);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPoint(choice.thenYield());
  yes();
  setInsertionPoint(choice.elseYield());
  no();
}

SmallVector<Value>
KernelBuilder::carry(Value lower, Value upper, ValueRange init,
                     function_ref<void(Value, SmallVector<Value> &)> body) {
  auto loop = scf::ForOp::create(*this, lower, upper, index(1), init);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  SmallVector<Value> values(loop.getRegionIterArgs());
  body(loop.getInductionVar(), values);
  scf::YieldOp::create(*this, values);
  return SmallVector<Value>(loop.getResults());
}

void KernelBuilder::choose(Value count, int64_t most,
                           function_ref<void(int64_t)> body) {
  auto cases = llvm::to_vector(llvm::seq<int64_t>(1, most));
  auto choice = scf::IndexSwitchOp::create(*this, TypeRange(), count, cases,
                                           cases.size());
  for (auto [i, region] : llvm::enumerate(choice->getRegions())) {
    OpBuilder::InsertionGuard guard(*this);
    createBlock(&region);
    // Region 0 is the default.
    body(i == 0 ? most : cases[i - 1]);
    scf::YieldOp::create(*this);
  }
}

EvenSplit::EvenSplit(KernelBuilder &b, Value count, Value limit)
    : parts(b.ceilDiv(count, limit)) {
  // Of nothing there are no parts, and nothing is divided by zero.
  Value divisor = b.max(parts, b.index(1));
  size = b.div(count, divisor);
  larger = b.rem(count, divisor);
}

std::pair<Value, Value> EvenSplit::getPart(KernelBuilder &b, Value part) const {
  Value first = b.add(b.mul(part, size), b.min(part, larger));
  Value isLarger = b.less(part, larger);
  return {first, b.add(size, b.select(isLarger, b.index(1), b.index(0)))};
}
