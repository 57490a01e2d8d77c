//===- AttentionLoops.cpp - attention as parallel loops -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/AttentionLoops.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// The loops of one attention: scores of all rows and keys, greatest score and
/// sum of powers of each row, then each entry of the result.
class AttentionLoops {
public:
  AttentionLoops(ExpertBuilder &b, kern::AttentionOp op)
      : b(b), op(op), dims(op.getDims()) {
    for (unsigned dim = 0, count = op.getMap(0).getNumDims(); dim < count;
         ++dim)
      extents.push_back(getExtent(dim));
    indices.resize(extents.size());
    outer = dims.batch;
    outer.append(dims.rows);
  }

  void emit() {
    SmallVector<unsigned> all(outer);
    all.push_back(dims.key);
    Value scores = allocate(all);
    Value bounds = allocate(outer), sums = allocate(outer);
    forEach(all, [&] {
      memref::StoreOp::create(b, emitScore(), scores, getValues(all));
    });
    forEach(outer, [&] { emitRow(all, scores, bounds, sums); });
    SmallVector<unsigned> entries(outer);
    entries.push_back(dims.column);
    forEach(entries, [&] { emitEntry(all, scores, bounds, sums); });
    for (Value buffer : {scores, bounds, sums})
      memref::DeallocOp::create(b, buffer);
  }

private:
  Value getExtent(unsigned dim) {
    for (unsigned i = 0; i < op->getNumOperands(); ++i)
      for (auto [place, result] : llvm::enumerate(op.getMap(i).getResults()))
        if (result == b.getAffineDimExpr(dim))
          return b.size(op->getOperand(i), place);
    llvm_unreachable("a dimension that no operand has");
  }

  Value allocate(ArrayRef<unsigned> places) {
    SmallVector<int64_t> shape(places.size(), ShapedType::kDynamic);
    SmallVector<Value> sizes;
    for (unsigned dim : places)
      sizes.push_back(extents[dim]);
    return memref::AllocOp::create(b, MemRefType::get(shape, b.getF32Type()),
                                   sizes);
  }

  SmallVector<Value> getValues(ArrayRef<unsigned> places) {
    SmallVector<Value> values;
    for (unsigned dim : places)
      values.push_back(indices[dim]);
    return values;
  }

  /// A parallel loop over dimensions.
  void forEach(ArrayRef<unsigned> places, function_ref<void()> body) {
    SmallVector<Value> counts;
    for (unsigned dim : places)
      counts.push_back(extents[dim]);
    b.parallel(counts, [&](ValueRange values) {
      for (auto [dim, value] : llvm::zip_equal(places, values))
        indices[dim] = value;
      body();
    });
  }

  /// The element of operand `i` at the current indices.
  Value load(unsigned i) { return b.loadWide(op->getOperand(i), getPlace(i)); }
  SmallVector<Value> getPlace(unsigned i) {
    SmallVector<Value> place;
    for (AffineExpr result : op.getMap(i).getResults()) {
      auto dim = dyn_cast<AffineDimExpr>(result);
      place.push_back(dim ? indices[dim.getPosition()] : b.index(0));
    }
    return place;
  }

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

  Value emitScore() {
    Value product =
        b.carry(extents[dims.depth], b.number(0), [&](Value d, ValueRange sum) {
          indices[dims.depth] = d;
          Value next = math::FmaOp::create(b, load(0), load(1), sum[0]);
          return SmallVector<Value>{next};
        })[0];
    return applyRegion(product).front();
  }

  Value emitPower(Value score, Value bound) {
    return math::ExpOp::create(b,
                               Value(arith::SubFOp::create(b, score, bound)));
  }
  Value equal(Value a, Value c) {
    return arith::CmpFOp::create(b, arith::CmpFPredicate::OEQ, a, c);
  }
  Value loadScore(ArrayRef<unsigned> all, Value scores, Value key) {
    indices[dims.key] = key;
    return memref::LoadOp::create(b, scores, getValues(all));
  }

  void emitRow(ArrayRef<unsigned> all, Value scores, Value bounds, Value sums) {
    Value least = b.number(-HUGE_VAL), start = least, sink;
    if (op.getSink()) {
      indices[dims.key] = b.index(0);
      start = sink = applyRegion(b.number(0))[1];
    }
    Value keys = extents[dims.key];
    Value bound = b.carry(keys, start, [&](Value key, ValueRange greatest) {
      Value next = arith::MaximumFOp::create(b, loadScore(all, scores, key),
                                             greatest[0]);
      return SmallVector<Value>{next};
    })[0];
    if (op.getMaskedIsZero())
      bound = b.select(equal(bound, least), b.number(0), bound);
    Value first = sink ? emitPower(sink, bound) : b.number(0);
    Value sum = b.carry(keys, first, [&](Value key, ValueRange before) {
      Value power = emitPower(loadScore(all, scores, key), bound);
      Value next = arith::AddFOp::create(b, before[0], power);
      return SmallVector<Value>{next};
    })[0];
    // Without any weight, whose sum is what makes NaN where that is due.
    sum = b.select(equal(sum, b.number(0)), b.number(1), sum);
    memref::StoreOp::create(b, bound, bounds, getValues(outer));
    memref::StoreOp::create(b, sum, sums, getValues(outer));
  }

  void emitEntry(ArrayRef<unsigned> all, Value scores, Value bounds,
                 Value sums) {
    Value bound = memref::LoadOp::create(b, bounds, getValues(outer));
    Value sum = memref::LoadOp::create(b, sums, getValues(outer));
    Value total = b.carry(
        extents[dims.key], b.number(0), [&](Value key, ValueRange before) {
          Value weight = emitPower(loadScore(all, scores, key), bound);
          Value next = math::FmaOp::create(b, weight, load(2), before[0]);
          // Values without weight need not be finite.
          Value isUnused = equal(weight, b.number(0));
          return SmallVector<Value>{b.select(isUnused, before[0], next)};
        })[0];
    b.storeNarrow(arith::DivFOp::create(b, total, sum), op.getInit(),
                  getPlace(3));
  }

  ExpertBuilder &b;
  kern::AttentionOp op;
  kern::AttentionDims dims;
  SmallVector<Value> extents, indices;
  SmallVector<unsigned> outer;
};

} // namespace

void moe::emitAttention(ExpertBuilder &b, kern::AttentionOp op) {
  AttentionLoops(b, op).emit();
}
