//===- ExpertLoops.cpp - loops over the positions of experts --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/ExpertLoops.h"

using namespace mlir;
using namespace mlir::moe;

SmallVector<Value> ExpertBuilder::sizes(Value buffer) {
  SmallVector<Value> sizes;
  for (int64_t i = 0; i < cast<MemRefType>(buffer.getType()).getRank(); ++i)
    sizes.push_back(size(buffer, i));
  return sizes;
}

Value ExpertBuilder::loadWide(Value buffer, ValueRange indices) {
  Value entry = memref::LoadOp::create(*this, buffer, indices);
  if (entry.getType().isF32())
    return entry;
  return arith::ExtFOp::create(*this, getF32Type(), entry);
}

void ExpertBuilder::storeNarrow(Value number, Value buffer,
                                ValueRange indices) {
  Type element = cast<MemRefType>(buffer.getType()).getElementType();
  if (!element.isF32())
    number = arith::TruncFOp::create(*this, element, number);
  memref::StoreOp::create(*this, number, buffer, indices);
}

SmallVector<Value> ExpertBuilder::carry(Value count, ValueRange state,
                                        Body body) {
  auto loop = scf::ForOp::create(*this, index(0), count, index(1), state);
  OpBuilder::InsertionGuard guard(*this);
  setInsertionPointToStart(loop.getBody());
  SmallVector<Value> next =
      body(loop.getInductionVar(), loop.getRegionIterArgs());
  scf::YieldOp::create(*this, next);
  return llvm::to_vector_of<Value>(loop.getResults());
}

Value moe::emitExpertOf(ExpertBuilder &b, Value offsets, Value position) {
  Value experts = b.sub(b.size(offsets, 0), b.index(1));
  return b.carry(experts, b.index(0), [&](Value e, ValueRange count) {
    Value end = b.loadIndex(offsets, b.add(e, 1));
    Value before =
        arith::CmpIOp::create(b, arith::CmpIPredicate::ule, end, position);
    return SmallVector<Value>{b.select(before, b.add(count[0], 1), count[0])};
  })[0];
}

/// The position of each assignment, `none` where it has none.
static Value emitPlaces(ExpertBuilder &b, kern::ExpertsCombineOp op,
                        Value assignments, Value none) {
  Value rows = op.getRows(), offsets = op.getOffsets();
  auto type = cast<MemRefType>(rows.getType());
  type = MemRefType::get(ShapedType::kDynamic, b.getI32Type(),
                         MemRefLayoutAttrInterface(), type.getMemorySpace());
  Value places = memref::AllocOp::create(b, type, assignments);
  Value missing = arith::IndexCastOp::create(b, b.getI32Type(), none);
  b.parallel(assignments, [&](ValueRange i) {
    memref::StoreOp::create(b, missing, places, i);
  });
  Value experts = b.sub(b.size(offsets, 0), b.index(1));
  b.parallel(b.size(rows, 0), [&](ValueRange i) {
    Value end = b.loadIndex(offsets, experts);
    b.branch(
        b.less(i[0], end),
        [&] {
          Value place = arith::IndexCastOp::create(b, b.getI32Type(), i[0]);
          memref::StoreOp::create(b, place, places, b.loadIndex(rows, i[0]));
        },
        [] {});
  });
  return places;
}

void moe::emitSumOverPositions(ExpertBuilder &b, kern::ExpertsCombineOp op,
                               function_ref<Value(Value, Value)> term) {
  Value slots = b.index(op.getSlots()), none = b.index(INT32_MAX);
  Value assignments = b.mul(b.size(op.getInit(), 0), slots);
  Value places = emitPlaces(b, op, assignments, none);
  b.parallel(b.sizes(op.getInit()), [&](ValueRange indices) {
    Value first = b.mul(indices[0], slots), column = indices[1];
    // The position after the previous one, as often as there are slots.
    SmallVector<Value> state = b.carry(
        slots, {b.index(-1), b.number(0)},
        [&](Value, ValueRange outer) -> SmallVector<Value> {
          Value next = b.carry(slots, none, [&](Value slot, ValueRange best) {
            Value place = b.loadIndex(places, b.add(first, slot));
            Value later = arith::CmpIOp::create(b, arith::CmpIPredicate::sgt,
                                                place, outer[0]);
            Value nearer = arith::MinSIOp::create(b, place, best[0]);
            return SmallVector<Value>{b.select(later, nearer, best[0])};
          })[0];
          auto used = scf::IfOp::create(b, TypeRange(b.getF32Type()),
                                        b.less(next, none),
                                        /*withElseRegion=*/true);
          OpBuilder::InsertionGuard guard(b);
          b.setInsertionPointToStart(used.elseBlock());
          scf::YieldOp::create(b, outer[1]);
          b.setInsertionPointToStart(used.thenBlock());
          Value sum = arith::AddFOp::create(b, outer[1], term(next, column));
          scf::YieldOp::create(b, sum);
          return {next, used.getResult(0)};
        });
    memref::StoreOp::create(b, state[1], op.getInit(), indices);
  });
  memref::DeallocOp::create(b, places);
}
