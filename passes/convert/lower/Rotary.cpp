//===- Rotary.cpp - lowering of rotary embeddings -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Attention.h"

using namespace mlir;
using namespace mlir::moe;

Value moe::rotate(TensorBuilder &t, Value tensor, const Rotation &rotation,
                  CachePlace place) {
  RankedTensorType type = Lowering::getType(tensor);
  Type element = type.getElementType(), wide = getAccumulator(element);
  bool partial = type.getShape().back() != rotation.extent;
  return t.generate(
      t.sizes(tensor), element, [&](TensorBuilder &inner, ValueRange position) {
        auto less = [&](Value a, Value b) {
          return compareIndex(inner, arith::CmpIPredicate::slt, a, b);
        };
        Value zero = inner.index(0), one = inner.index(1);
        Value half = inner.index(rotation.extent / 2);
        Value own = inner.extract(tensor, position);
        // Elements behind the rotated part stay; they read the first pair.
        Value isRotated, d = position.back();
        if (partial) {
          isRotated = less(d, inner.index(rotation.extent));
          d = inner.select(isRotated, d, zero);
        }
        Value isFirst, angle, other;
        if (rotation.interleaved) {
          Value odd = arith::AndIOp::create(inner.builder, inner.loc, d, one);
          isFirst = compareIndex(inner, arith::CmpIPredicate::eq, odd, zero);
          angle = arith::ShRUIOp::create(inner.builder, inner.loc, d, one);
          other = inner.select(isFirst, inner.add(d, one), inner.sub(d, one));
        } else {
          isFirst = less(d, half);
          angle = inner.select(isFirst, d, inner.sub(d, half));
          other = inner.select(isFirst, inner.add(d, half), inner.sub(d, half));
        }
        SmallVector<Value> cachePlace =
            place(inner, position[0], position[rotation.sequenceDim]);
        cachePlace.push_back(angle);
        auto readCache = [&](Value cache) {
          return inner.convert(inner.extract(cache, cachePlace), wide);
        };
        SmallVector<Value> partnerPlace(position);
        partnerPlace.back() = other;
        Value x = inner.convert(own, wide);
        Value partner =
            inner.convert(inner.extract(tensor, partnerPlace), wide);
        Value straight = inner.mul(x, readCache(rotation.cosines));
        Value crossed = inner.mul(partner, readCache(rotation.sines));
        Value turned = inner.select(isFirst, inner.sub(straight, crossed),
                                    inner.add(straight, crossed));
        Value result = inner.convert(turned, element);
        return partial ? inner.select(isRotated, result, own) : result;
      });
}

namespace {

/// Zero where the dimension has extent 1, else `index`.
Value broadcastIndex(TensorBuilder &t, Value index, Value extent) {
  Value isOne = compareIndex(t, arith::CmpIPredicate::eq, extent, t.index(1));
  return t.select(isOne, t.index(0), index);
}

/// Both operators: rotates rank 3 (B x S x (H * D)) or rank 4 (B x H x S x D).
LogicalResult lowerRotary(Lowering &l, Value input, Rotation rotation,
                          int64_t heads, Value result, CachePlace place) {
  TensorBuilder &t = l.tensors;
  Sizes sizes = t.sizes(input);
  int64_t rank = sizes.size();
  if (rank != 3 && rank != 4)
    return l.error() << "expected an input of rank 3 or 4, got " << rank;
  int64_t cached = Lowering::getType(rotation.cosines).getShape().back();
  Value split = input;
  rotation.sequenceDim = rank == 3 ? 1 : 2;
  if (rank == 3) {
    // Without a rotated extent, the caches span a whole head.
    bool cachesTell = rotation.extent == 0 && !ShapedType::isDynamic(cached);
    OpFoldResult size;
    if (heads > 0 && (getConstantIntValue(sizes[2]) || !cachesTell))
      size = t.divSizes(sizes[2], t.builder.getIndexAttr(heads));
    else if (!ShapedType::isDynamic(cached))
      size = t.builder.getIndexAttr(2 * cached);
    else
      return l.error() << "expected 'num_heads' for an input of rank 3";
    split = t.reshape(input,
                      {sizes[0], sizes[1], t.divSizes(sizes[2], size), size});
  }
  int64_t headSize = Lowering::getType(split).getShape().back();
  if (rotation.extent == 0)
    rotation.extent = headSize;
  if (ShapedType::isDynamic(rotation.extent) || rotation.extent % 2 != 0 ||
      (!ShapedType::isDynamic(headSize) && rotation.extent > headSize) ||
      (!ShapedType::isDynamic(cached) && 2 * cached < rotation.extent))
    return l.error() << "expected an even rotated extent within the head size "
                     << headSize << " and the " << cached
                     << " columns of the caches, got " << rotation.extent;
  Value turned = rotate(t, split, rotation, place);
  l.set(result, rank == 3 ? t.reshape(turned, sizes) : turned);
  return success();
}

/// Rows of the caches for each batch entry and position.
LogicalResult lowerWithPositions(Lowering &l, Value input,
                                 const Rotation &rotation, int64_t heads,
                                 Value result, Value original,
                                 Value positions) {
  TensorBuilder &t = l.tensors;
  OpFoldResult rows = t.size(rotation.cosines, 0);
  if (failed(checkIndices(l, original, positions, rows)))
    return failure();
  Value limit = t.index(rows), batches = t.index(t.size(positions, 0));
  return lowerRotary(
      l, input, rotation, heads, result,
      [&](TensorBuilder &inner, Value b, Value s) -> SmallVector<Value> {
        Value entry = broadcastIndex(inner, b, batches);
        return {wrapIndex(inner, inner.extract(positions, {entry, s}), limit)};
      });
}

LogicalResult lowerRotaryEmbedding(onnx::RotaryEmbeddingOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Rotation rotation = {l.get(op.getCosCache()), l.get(op.getSinCache()),
                       static_cast<int64_t>(op.getRotaryEmbeddingDim()),
                       op.getInterleaved() != 0, 0};
  Value input = l.get(op.getX());
  int64_t heads = op.getNumHeads().value_or(0);
  int64_t cacheRank = Lowering::getType(rotation.cosines).getRank();
  bool hasPositions = Lowering::has(op.getPositionIds());
  if (cacheRank != (hasPositions ? 2 : 3))
    return l.error() << "expected caches of rank " << (hasPositions ? 2 : 3)
                     << ", got " << cacheRank;
  if (hasPositions)
    return lowerWithPositions(l, input, rotation, heads, op.getY(),
                              op.getPositionIds(), l.get(op.getPositionIds()));
  Value batches = t.index(t.size(rotation.cosines, 0));
  return lowerRotary(
      l, input, rotation, heads, op.getY(),
      [&](TensorBuilder &inner, Value b, Value s) -> SmallVector<Value> {
        return {broadcastIndex(inner, b, batches), s};
      });
}

LogicalResult lowerMicrosoftRotaryEmbedding(onnx::MicrosoftRotaryEmbeddingOp op,
                                            Lowering &l) {
  TensorBuilder &t = l.tensors;
  if (!op.getScale().isExactlyValue(1.0))
    return l.error() << "expected 'scale' 1, got "
                     << op.getScale().convertToDouble();
  if (op.getIsPackedBatching())
    return l.error() << "expected 'is_packed_batching' 0, got "
                     << static_cast<int64_t>(op.getIsPackedBatching());
  Rotation rotation = {l.get(op.getCosCache()), l.get(op.getSinCache()),
                       static_cast<int64_t>(op.getRotaryEmbeddingDim()),
                       op.getInterleaved() != 0, 0};
  Value input = l.get(op.getInput()), positions = l.get(op.getPositionIds());
  int64_t heads = op.getNumHeads();
  if (Lowering::getType(positions).getRank() == 2)
    return lowerWithPositions(l, input, rotation, heads, op.getOutput(),
                              op.getPositionIds(), positions);
  // One number: the position of the first element.
  FailureOr<Sizes> offsets = l.getElements(op.getPositionIds());
  if (failed(offsets))
    return failure();
  if (offsets->size() != 1)
    return l.error() << "expected one position or positions of rank 2";
  Value offset = t.index(offsets->front());
  int64_t sequenceDim = Lowering::getType(input).getRank() == 3 ? 1 : 2;
  Value end = t.add(offset, t.index(t.size(input, sequenceDim)));
  Value rows = t.index(t.size(rotation.cosines, 0));
  t.check(
      andAll(t, {compareIndex(t, arith::CmpIPredicate::sge, offset, t.index(0)),
                 compareIndex(t, arith::CmpIPredicate::sle, end, rows)}),
      "position beyond the cache of a rotary embedding");
  return lowerRotary(
      l, input, rotation, heads, op.getOutput(),
      [&](TensorBuilder &inner, Value, Value s) -> SmallVector<Value> {
        return {inner.add(offset, s)};
      });
}

} // namespace

void moe::addRotaryLowerings(LoweringTable &table) {
  table.add(lowerRotaryEmbedding);
  table.add(lowerMicrosoftRotaryEmbedding);
}
