//===- ReferenceAttention.cpp - plain loops for attention -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/common/Reference.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/IRMapping.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// The loops of one attention.
class AttentionLoops {
public:
  explicit AttentionLoops(kern::AttentionOp op)
      : op(op), b(op.getLoc(), op), dims(op.getDims()) {
    for (unsigned dim = 0, count = op.getMap(0).getNumDims(); dim < count;
         ++dim)
      extents.push_back(getExtent(dim));
    indices.resize(extents.size());
    outer = dims.batch;
    outer.append(dims.rows);
    powers = b.empty({extents[dims.key]}, b.getF32Type());
  }

  Value build() { return buildRows(op.getInit(), powers, /*depth=*/0).front(); }

private:
  Value getExtent(unsigned dim) {
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      for (auto [place, result] : llvm::enumerate(op.getMap(i).getResults()))
        if (result == b.getAffineDimExpr(dim))
          return b.size(op->getOperand(i), place);
    llvm_unreachable("a dimension that no operand has");
  }

  /// The place of the current indices in operand `i`.
  SmallVector<Value> getPlace(unsigned i) {
    SmallVector<Value> place;
    for (AffineExpr result : op.getMap(i).getResults()) {
      auto dim = dyn_cast<AffineDimExpr>(result);
      place.push_back(dim ? indices[dim.getPosition()] : b.index(0));
    }
    return place;
  }
  Value load(unsigned i) { return b.load(op->getOperand(i), getPlace(i)); }

  /// What the region yields for the current row and key.
  SmallVector<Value> applyRegion(Value product) {
    Block &body = op.getScore().front();
    IRMapping mapping;
    mapping.map(body.getArgument(0), product);
    for (auto [i, dim] : llvm::enumerate(dims.getIndexed()))
      mapping.map(body.getArgument(i + 1), indices[dim]);
    for (Operation &inner : body.without_terminator())
      b.clone(inner, mapping);
    return llvm::map_to_vector(
        body.getTerminator()->getOperands(),
        [&](Value value) { return mapping.lookupOrDefault(value); });
  }

  Value getScore() {
    Value product =
        b.loop(b.index(0), extents[dims.depth], b.f32(0),
               [&](Value d, Value sum) -> Value {
                 indices[dims.depth] = d;
                 return arith::AddFOp::create(
                     b, sum, arith::MulFOp::create(b, load(0), load(1)));
               });
    return applyRegion(product).front();
  }

  /// The loops over batch and row dimensions; carries result and powers.
  LoopBuilder::State buildRows(Value result, Value row, size_t depth) {
    if (depth == outer.size())
      return buildRow(result, row);
    return b.loop(b.index(0), extents[outer[depth]], {result, row},
                  [&](Value i, ValueRange carried) {
                    indices[outer[depth]] = i;
                    return buildRows(carried[0], carried[1], depth + 1);
                  });
  }

  LoopBuilder::State buildRow(Value result, Value row) {
    Value zero = b.index(0), keys = extents[dims.key];
    Value least = b.f32(-INFINITY), sink;
    if (op.getSink()) {
      indices[dims.key] = zero;
      sink = applyRegion(b.f32(0))[1];
    }
    LoopBuilder::State scores =
        b.loop(zero, keys, {row, sink ? sink : least},
               [&](Value t, ValueRange carried) -> LoopBuilder::State {
                 indices[dims.key] = t;
                 Value score = getScore();
                 Value next = b.store(score, carried[0], t);
                 return {next, arith::MaximumFOp::create(b, score, carried[1])};
               });
    Value bound = scores[1];
    if (op.getMaskedIsZero()) {
      Value isEmpty =
          arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, bound, least);
      bound = b.select(isEmpty, b.f32(0), bound);
    }
    auto getPower = [&](Value score) -> Value {
      return math::ExpOp::create(b, arith::SubFOp::create(b, score, bound));
    };
    Value start = sink ? getPower(sink) : b.f32(0);
    LoopBuilder::State weights =
        b.loop(zero, keys, {scores[0], start},
               [&](Value t, ValueRange carried) -> LoopBuilder::State {
                 Value power = getPower(b.load(carried[0], t));
                 return {b.store(power, carried[0], t),
                         arith::AddFOp::create(b, carried[1], power)};
               });
    Value sum = weights[1];
    Value next =
        b.loop(zero, extents[dims.column], result, [&](Value e, Value carried) {
          indices[dims.column] = e;
          Value value = b.loop(zero, keys, b.f32(0), [&](Value t, Value total) {
            indices[dims.key] = t;
            Value weight = arith::DivFOp::create(b, b.load(weights[0], t), sum);
            if (op.getMaskedIsZero()) {
              Value isEmpty = arith::CmpFOp::create(
                  b, arith::CmpFPredicate::OEQ, sum, b.f32(0));
              weight = b.select(isEmpty, b.f32(0), weight);
            }
            return arith::AddFOp::create(
                       b, total, arith::MulFOp::create(b, weight, load(2)))
                .getResult();
          });
          return b.store(value, carried, getPlace(3));
        });
    return {next, weights[0]};
  }

  kern::AttentionOp op;
  LoopBuilder b;
  kern::AttentionDims dims;
  SmallVector<Value> extents, indices;
  SmallVector<unsigned> outer;
  Value powers;
};

} // namespace

Value moe::lowerAttention(kern::AttentionOp op) {
  return AttentionLoops(op).build();
}
