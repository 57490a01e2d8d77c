//===- TensorScatter.cpp - lowering of TensorScatter --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes into a cache of keys or values. A row of the batch is written at once;
// in a circular cache, what goes beyond its end continues at its beginning, so
// elements are placed one by one.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

class CacheBuilder {
public:
  CacheBuilder(onnx::TensorScatterOp op, Lowering &l)
      : op(op), l(l), t(l.tensors) {}

  LogicalResult build() {
    cache = l.get(op.getPastCache());
    update = l.get(op.getUpdate());
    starts = l.get(op.getWriteIndices());
    RankedTensorType type = Lowering::getType(cache);
    FailureOr<int64_t> found = l.getAxis(op.getAxis(), type.getRank());
    if (failed(found))
      return failure();
    axis = *found;
    bool isCircular = op.getMode() == "circular";
    if (!isCircular && op.getMode() != "linear")
      return l.error() << "expected the mode 'linear' or 'circular', got '"
                       << op.getMode() << "'";
    if (axis == 0 || Lowering::getType(update).getRank() != type.getRank() ||
        (starts && Lowering::getType(starts).getRank() != 1))
      return l.error() << "expected a cache and an update of one rank with the "
                          "batch in front of the axis, got "
                       << type << " and " << Lowering::getType(update);
    if (failed(checkExtents(isCircular)))
      return failure();
    l.set(op.getPresentCache(), isCircular ? writeElements() : writeRows());
    return success();
  }

private:
  LogicalResult checkExtents(bool isCircular) {
    Sizes own = t.sizes(cache), added = t.sizes(update);
    for (auto [dim, extent, other] : llvm::enumerate(own, added))
      if (int64_t(dim) != axis)
        t.checkEqual(extent, other,
                     "TensorScatter: cache and update differ in an extent");
    length = t.index(own[axis]);
    Value count = t.index(added[axis]);
    t.check(compareIndex(t, arith::CmpIPredicate::sle, count, length),
            "TensorScatter: the update is longer than the cache");
    if (!starts)
      return success();
    t.checkEqual(t.size(starts, 0), own[0],
                 "TensorScatter: expected a place for each row of the batch");
    // Row by row, since an empty batch has no greatest place.
    Value room = t.sub(length, isCircular ? t.index(0) : count);
    Value yes = t.constant(t.builder.getI1Type(), 1);
    Value inside =
        buildLoops(t, {own[0]}, yes,
                   [&](TensorBuilder &b, ValueRange at,
                       ValueRange all) -> SmallVector<Value> {
                     Value start = getStart(b, at[0]);
                     return {
                         andAll(b, {all[0],
                                    compareIndex(b, arith::CmpIPredicate::sge,
                                                 start, b.index(0)),
                                    compareIndex(b, arith::CmpIPredicate::sle,
                                                 start, room)})};
                   })
            .front();
    t.check(inside, "TensorScatter: a row is written outside the cache");
    return success();
  }

  /// Where a row of the batch is written.
  Value getStart(TensorBuilder &b, Value row) {
    return starts ? b.convert(b.extract(starts, row), b.builder.getIndexType())
                  : b.index(0);
  }

  Value writeRows() {
    Sizes extents = t.sizes(update),
          steps(extents.size(), t.builder.getIndexAttr(1));
    extents[0] = t.builder.getIndexAttr(1);
    return buildLoops(
               t, {t.size(cache, 0)}, cache,
               [&](TensorBuilder &b, ValueRange at,
                   ValueRange carried) -> SmallVector<Value> {
                 Sizes from(extents.size(), b.builder.getIndexAttr(0));
                 from[0] = at[0];
                 Value row = tensor::ExtractSliceOp::create(
                     b.builder, b.loc, update, from, extents, steps);
                 from[axis] = getStart(b, at[0]);
                 return {tensor::InsertSliceOp::create(
                     b.builder, b.loc, row, carried[0], from, extents, steps)};
               })
        .front();
  }

  Value writeElements() {
    return buildLoops(t, t.sizes(update), cache,
                      [&](TensorBuilder &b, ValueRange at,
                          ValueRange carried) -> SmallVector<Value> {
                        SmallVector<Value> place(at);
                        place[axis] = arith::RemUIOp::create(
                            b.builder, b.loc,
                            b.add(getStart(b, at[0]), at[axis]), length);
                        return {tensor::InsertOp::create(b.builder, b.loc,
                                                         b.extract(update, at),
                                                         carried[0], place)};
                      })
        .front();
  }

  onnx::TensorScatterOp op;
  Lowering &l;
  TensorBuilder &t;
  Value cache, update, starts, length;
  int64_t axis = 0;
};

LogicalResult lowerTensorScatter(onnx::TensorScatterOp op, Lowering &l) {
  return CacheBuilder(op, l).build();
}

} // namespace

void moe::addTensorScatterLowering(LoweringTable &table) {
  table.add(lowerTensorScatter);
}
