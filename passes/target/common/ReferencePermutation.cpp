//===- ReferencePermutation.cpp - loops for the order by expert -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/Reference.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"

using namespace mlir;
using namespace mlir::moe;

using State = LoopBuilder::State;

SmallVector<Value> moe::buildPermutation(LoopBuilder &b, Value ids,
                                         Value counts) {
  Value zero = b.index(0), tokens = b.size(ids, 0);
  int64_t slots = cast<RankedTensorType>(ids.getType()).getDimSize(1);
  Value entries = b.size(counts, 0);
  Value offsets = b.loop(b.index(1), entries, counts, [&](Value e, Value s) {
    Value previous = arith::SubIOp::create(b, e, b.index(1));
    Value sum = arith::AddIOp::create(b, b.load(s, previous), b.load(s, e));
    return b.store(sum, s, e);
  });
  // Where the next assignment of each expert goes.
  Value cursors = b.loop(
      zero, entries, b.empty(entries, b.getI32Type()),
      [&](Value e, Value s) { return b.store(b.load(offsets, e), s, e); });
  Value count = arith::MulIOp::create(b, tokens, b.index(slots));
  Value rows = b.empty(count, b.getI32Type());
  State state =
      b.loop(zero, tokens, {rows, cursors}, [&](Value t, ValueRange outer) {
        return b.loop(
            zero, b.index(slots), outer, [&](Value j, ValueRange inner) {
              Value id = b.toIndex(b.load(ids, {t, j}));
              Value place = b.load(inner[1], id);
              Value first = arith::MulIOp::create(b, t, b.index(slots));
              Value row = b.toI32(arith::AddIOp::create(b, first, j));
              Value next = arith::AddIOp::create(b, place, b.i32(1));
              return State{b.store(row, inner[0], b.toIndex(place)),
                           b.store(next, inner[1], id)};
            });
      });
  return {state[0], offsets};
}

SmallVector<Value> moe::lowerPermute(PermuteOp op) {
  LoopBuilder b(op.getLoc(), op);
  Value ids = op.getIds();
  int64_t experts = op.getExperts();
  int64_t slots = cast<RankedTensorType>(ids.getType()).getDimSize(1);
  Value zero = b.index(0), tokens = b.size(ids, 0);
  Value yes = arith::ConstantIntOp::create(b, 1, 1);
  // What is dropped is sorted behind the last expert.
  int64_t bins = experts + (op.getDrops() ? 1 : 0);
  Value counts = b.filled(b.index(bins + 1), b.i32(0));
  // The ids come from the model: look at each before using it as an index.
  Value checked = b.empty({tokens, b.index(slots)}, b.getI32Type());
  State state = b.loop(
      zero, tokens, {counts, checked, yes}, [&](Value t, ValueRange outer) {
        return b.loop(
            zero, b.index(slots), outer, [&](Value j, ValueRange inner) {
              Value id = b.toIndex(b.load(ids, {t, j}));
              Value inRange = arith::CmpIOp::create(
                  b, arith::CmpIPredicate::ult, id, b.index(experts));
              Value safe = b.select(inRange, id, zero);
              if (op.getDrops()) {
                Value isNone = arith::CmpIOp::create(
                    b, arith::CmpIPredicate::eq, id, b.index(-1));
                safe = b.select(isNone, b.index(experts), safe);
                inRange = b.either(inRange, isNone);
              }
              Value next = arith::AddIOp::create(b, safe, b.index(1));
              Value count =
                  arith::AddIOp::create(b, b.load(inner[0], next), b.i32(1));
              return State{b.store(count, inner[0], next),
                           b.store(b.toI32(safe), inner[1], {t, j}),
                           b.both(inner[2], inRange)};
            });
      });
  cf::AssertOp::create(
      b, state[2], "expert id outside of [0, " + std::to_string(experts) + ")");
  SmallVector<Value> results = buildPermutation(b, state[1], state[0]);
  if (op.getDrops())
    results[1] = tensor::ExtractSliceOp::create(
        b, results[1], ArrayRef<OpFoldResult>{b.getIndexAttr(0)},
        ArrayRef<OpFoldResult>{b.getIndexAttr(experts + 1)},
        ArrayRef<OpFoldResult>{b.getIndexAttr(1)});
  return results;
}

Value moe::lowerCombine(CombineOp op) {
  LoopBuilder b(op.getLoc(), op);
  Value h = op.getH(), rows = op.getRows(), weights = op.getWeights();
  Type element = cast<RankedTensorType>(op.getType()).getElementType();
  Value zero = b.index(0), tokens = b.size(weights, 0);
  Value slots = b.size(weights, 1), width = b.size(h, 1);
  Value count = b.size(rows, 0);
  // Where each assignment stands in the order of experts.
  Value places = b.loop(zero, count, b.empty(count, b.getI32Type()),
                        [&](Value s, Value state) {
                          Value a = b.toIndex(b.load(rows, s));
                          return b.store(b.toI32(s), state, a);
                        });
  return b.loop(
      zero, tokens, b.empty({tokens, width}, element), [&](Value t, Value y) {
        return b.loop(zero, width, y, [&](Value i, Value state) {
          Value sum = b.loop(zero, slots, b.f32(0), [&](Value j, Value total) {
            Value first = arith::MulIOp::create(b, t, slots);
            Value a = arith::AddIOp::create(b, first, j);
            Value row = b.toIndex(b.load(places, a));
            Value term = arith::MulFOp::create(b, b.load(weights, {t, j}),
                                               b.load(h, {row, i}));
            return arith::AddFOp::create(b, total, term).getResult();
          });
          return b.store(sum, state, {t, i});
        });
      });
}
