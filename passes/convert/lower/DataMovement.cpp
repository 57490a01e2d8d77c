//===- DataMovement.cpp - lowering of operators that place elements ---------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/RuntimeAxes.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

Type getElement(Value tensor) {
  return cast<RankedTensorType>(tensor.getType()).getElementType();
}

Value isBelow(TensorBuilder &t, Value a, Value b) {
  return t.compare(arith::CmpIPredicate::slt, arith::CmpFPredicate::OLT, a, b);
}

/// The greater of an extent and zero.
OpFoldResult atLeastZero(TensorBuilder &t, OpFoldResult extent) {
  if (std::optional<int64_t> constant = getConstantIntValue(extent))
    return t.builder.getIndexAttr(std::max<int64_t>(*constant, 0));
  if (cast<Value>(extent).getDefiningOp<tensor::DimOp>())
    return extent;
  return t.max(t.index(extent), t.index(0));
}

//===----------------------------------------------------------------------===//
// Range
//===----------------------------------------------------------------------===//

/// ceil((limit - start) / delta), or zero if that is negative.
FailureOr<OpFoldResult> countIntegers(onnx::RangeOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  FailureOr<Sizes> start = l.getElements(op.getStart());
  FailureOr<Sizes> limit = l.getElements(op.getLimit());
  FailureOr<Sizes> delta = l.getElements(op.getDelta());
  if (failed(start) || failed(limit) || failed(delta))
    return failure();
  OpFoldResult distance = limit->front();
  if (!isConstantIntValue(start->front(), 0))
    distance = t.subSizes(distance, start->front());
  OpFoldResult step = delta->front();
  std::optional<int64_t> constant = getConstantIntValue(step);
  if (constant == 0)
    return l.error() << "expected a step other than 0";
  if (constant == 1)
    return atLeastZero(t, distance);
  std::optional<int64_t> known = getConstantIntValue(distance);
  if (constant && known)
    return OpFoldResult(t.builder.getIndexAttr(
        std::max<int64_t>(llvm::divideCeilSigned(*known, *constant), 0)));
  Value divisor = t.index(step);
  t.check(t.compare(arith::CmpIPredicate::ne, arith::CmpFPredicate::ONE,
                    divisor, t.index(0)),
          "Range: the step is 0");
  // A zero step must not trap before the check is looked at.
  Value isZero = t.compare(arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ,
                           divisor, t.index(0));
  divisor = t.select(isZero, t.index(1), divisor);
  Value count =
      arith::CeilDivSIOp::create(t.builder, t.loc, t.index(distance), divisor);
  return OpFoldResult(t.max(count, t.index(0)));
}

LogicalResult lowerRange(onnx::RangeOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value start = t.extract(l.get(op.getStart()));
  Value delta = t.extract(l.get(op.getDelta()));
  Type element = start.getType();
  OpFoldResult count;
  if (isa<FloatType>(element)) {
    Value limit = t.extract(l.get(op.getLimit()));
    Type f64 = t.builder.getF64Type();
    Value quotient =
        t.div(t.convert(t.sub(limit, start), f64), t.convert(delta, f64));
    Value steps = math::CeilOp::create(t.builder, t.loc, quotient);
    count = atLeastZero(t, t.convert(steps, t.builder.getIndexType()));
  } else {
    FailureOr<OpFoldResult> integers = countIntegers(op, l);
    if (failed(integers))
      return failure();
    count = *integers;
  }
  Sizes sizes = l.refine(op.getOutput(), count);
  l.set(op.getOutput(),
        t.generate(sizes, element, [&](TensorBuilder &inner, ValueRange at) {
          return inner.add(start,
                           inner.mul(inner.convert(at[0], element), delta));
        }));
  return success();
}

//===----------------------------------------------------------------------===//
// Tile
//===----------------------------------------------------------------------===//

LogicalResult lowerTile(onnx::TileOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  auto type = cast<RankedTensorType>(input.getType());
  FailureOr<Sizes> repeats = l.getElements(op.getRepeats(), type.getRank());
  if (failed(repeats))
    return failure();
  Sizes own = t.sizes(input), sizes;
  bool isBroadcast = true;
  for (auto [dim, repeat] : llvm::enumerate(*repeats)) {
    sizes.push_back(t.mulSizes(own[dim], atLeastZero(t, repeat)));
    isBroadcast &= type.getDimSize(dim) == 1 || isConstantIntValue(repeat, 1);
  }
  sizes = l.refine(op.getOutput(), sizes);
  if (isBroadcast) {
    l.set(op.getOutput(), t.broadcast(input, sizes));
    return success();
  }
  SmallVector<Value> extents;
  for (OpFoldResult extent : own)
    extents.push_back(t.index(extent));
  l.set(op.getOutput(),
        t.generate(sizes, type.getElementType(),
                   [&](TensorBuilder &inner, ValueRange at) {
                     SmallVector<Value> from;
                     for (auto [dim, position] : llvm::enumerate(at))
                       from.push_back(isConstantIntValue((*repeats)[dim], 1)
                                          ? position
                                          : arith::RemUIOp::create(
                                                inner.builder, inner.loc,
                                                position, extents[dim]));
                     return inner.extract(input, from);
                   }));
  return success();
}

//===----------------------------------------------------------------------===//
// Pad
//===----------------------------------------------------------------------===//

/// What is added before and after each dimension; negative where it is cut.
struct Padding {
  Sizes low, high;
};

FailureOr<Padding> getPadding(onnx::PadOp op, Lowering &l) {
  int64_t rank = Lowering::getType(op.getData()).getRank();
  FailureOr<Sizes> pads = l.getElements(op.getPads());
  if (failed(pads))
    return failure();
  Sizes axes;
  for (int64_t i = 0; i < rank; ++i)
    axes.push_back(l.tensors.builder.getIndexAttr(i));
  if (Lowering::has(op.getAxes())) {
    FailureOr<Sizes> given = readAxes(l, op.getAxes(), rank);
    if (failed(given))
      return failure();
    axes = *given;
  }
  if (pads->size() != 2 * axes.size())
    return l.error() << "expected " << 2 * axes.size() << " pads, got "
                     << pads->size();
  Padding padding;
  padding.low.assign(rank, l.tensors.builder.getIndexAttr(0));
  padding.high = padding.low;
  for (auto [i, axis] : llvm::enumerate(axes)) {
    replaceAt(l.tensors, padding.low, axis, (*pads)[i]);
    replaceAt(l.tensors, padding.high, axis, (*pads)[i + axes.size()]);
  }
  return padding;
}

/// Cuts what negative pads cut and puts the rest into a filled tensor.
Value padByConstant(TensorBuilder &t, Value data, const Padding &padding,
                    ArrayRef<OpFoldResult> sizes, Value fill) {
  int64_t rank = sizes.size();
  OpFoldResult zero = t.builder.getIndexAttr(0);
  Sizes from(rank, zero), to(rank, zero), extents = t.sizes(data);
  Sizes strides(rank, t.builder.getIndexAttr(1));
  for (int64_t dim = 0; dim < rank; ++dim) {
    from[dim] = atLeastZero(t, t.subSizes(zero, padding.low[dim]));
    to[dim] = atLeastZero(t, padding.low[dim]);
    OpFoldResult cut = atLeastZero(t, t.subSizes(zero, padding.high[dim]));
    extents[dim] =
        atLeastZero(t, t.subSizes(t.subSizes(extents[dim], from[dim]), cut));
  }
  Value kept = tensor::ExtractSliceOp::create(t.builder, t.loc, data, from,
                                              extents, strides);
  return tensor::InsertSliceOp::create(
      t.builder, t.loc, kept, t.fill(fill, sizes), to, extents, strides);
}

/// The position in a dimension of extent `count` that is copied to `position`.
Value getSource(TensorBuilder &t, StringRef mode, Value position, Value count) {
  Value zero = t.index(0), one = t.index(1);
  Value last = t.sub(count, one);
  auto wrap = [&](Value value, Value period) {
    Value divisor = t.max(period, one);
    Value rest = arith::RemSIOp::create(t.builder, t.loc, value, divisor);
    return t.select(isBelow(t, rest, zero), t.add(rest, divisor), rest);
  };
  if (mode == "wrap")
    position = wrap(position, count);
  if (mode == "reflect") {
    Value period = t.mul(last, t.index(2));
    Value within = wrap(position, period);
    position =
        t.select(isBelow(t, last, within), t.sub(period, within), within);
  }
  return t.max(t.min(position, last), zero);
}

LogicalResult lowerPad(onnx::PadOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  Type element = getElement(data);
  FailureOr<Padding> padding = getPadding(op, l);
  if (failed(padding))
    return failure();
  StringRef mode = op.getMode();
  if (!llvm::is_contained({"constant", "reflect", "edge", "wrap"}, mode))
    return l.error() << "expected the mode 'constant', 'reflect', 'edge' or "
                        "'wrap', got '"
                     << mode << "'";
  Sizes own = t.sizes(data), sizes;
  for (auto [extent, low, high] :
       llvm::zip_equal(own, padding->low, padding->high))
    sizes.push_back(atLeastZero(t, t.addSizes(extent, t.addSizes(low, high))));
  sizes = l.refine(op.getOutput(), sizes);
  if (mode == "constant") {
    Value fill = t.constant(element, 0);
    if (Value given = l.get(op.getConstantValue()))
      fill = t.extract(
          given,
          SmallVector<Value>(cast<RankedTensorType>(given.getType()).getRank(),
                             t.index(0)));
    l.set(op.getOutput(), padByConstant(t, data, *padding, sizes, fill));
    return success();
  }
  SmallVector<Value> extents, lows;
  for (auto [extent, low] : llvm::zip_equal(own, padding->low)) {
    extents.push_back(t.index(extent));
    lows.push_back(t.index(low));
  }
  l.set(op.getOutput(),
        t.generate(sizes, element, [&](TensorBuilder &inner, ValueRange at) {
          SmallVector<Value> from;
          for (auto [position, extent, low] :
               llvm::zip_equal(at, extents, lows))
            from.push_back(
                getSource(inner, mode, inner.sub(position, low), extent));
          return inner.extract(data, from);
        }));
  return success();
}

//===----------------------------------------------------------------------===//
// Blocks and diagonals
//===----------------------------------------------------------------------===//

LogicalResult lowerDepthToSpace(onnx::DepthToSpaceOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  Sizes sizes = t.sizes(input);
  if (sizes.size() != 4 || static_cast<int64_t>(op.getBlocksize()) < 1)
    return l.error() << "expected 4 dimensions and a positive block size";
  OpFoldResult block = t.builder.getIndexAttr(op.getBlocksize());
  OpFoldResult depth = t.divSizes(sizes[1], t.mulSizes(block, block));
  Sizes split = {sizes[0], block, block, depth, sizes[2], sizes[3]};
  SmallVector<int64_t> order = {0, 3, 4, 1, 5, 2};
  if (op.getMode() == "CRD") {
    split = {sizes[0], depth, block, block, sizes[2], sizes[3]};
    order = {0, 1, 4, 2, 5, 3};
  }
  Value turned = t.transpose(t.reshape(input, split), order);
  l.set(
      op.getOutput(),
      t.reshape(turned, l.refine(op.getOutput(),
                                 {sizes[0], depth, t.mulSizes(sizes[2], block),
                                  t.mulSizes(sizes[3], block)})));
  return success();
}

LogicalResult lowerSpaceToDepth(onnx::SpaceToDepthOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  Sizes sizes = t.sizes(input);
  if (sizes.size() != 4 || static_cast<int64_t>(op.getBlocksize()) < 1)
    return l.error() << "expected 4 dimensions and a positive block size";
  OpFoldResult block = t.builder.getIndexAttr(op.getBlocksize());
  OpFoldResult height = t.divSizes(sizes[2], block);
  OpFoldResult width = t.divSizes(sizes[3], block);
  SmallVector<int64_t> order = {0, 3, 5, 1, 2, 4};
  if (op.getMode() == "CRD")
    order = {0, 1, 3, 5, 2, 4};
  Value turned = t.transpose(
      t.reshape(input, {sizes[0], sizes[1], height, block, width, block}),
      order);
  OpFoldResult depth = t.mulSizes(sizes[1], t.mulSizes(block, block));
  l.set(op.getOutput(),
        t.reshape(turned,
                  l.refine(op.getOutput(), {sizes[0], depth, height, width})));
  return success();
}

LogicalResult lowerEyeLike(onnx::EyeLikeOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Sizes sizes = t.sizes(l.get(op.getInput()));
  if (sizes.size() != 2)
    return l.error() << "expected 2 dimensions, got " << sizes.size();
  Type element = getElementTypeOrSelf(getPlainType(op.getOutput().getType()));
  int64_t offset = op.getK();
  l.set(op.getOutput(),
        t.generate(sizes, element, [&](TensorBuilder &inner, ValueRange at) {
          Value isDiagonal =
              inner.compare(arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ,
                            at[1], inner.add(at[0], inner.index(offset)));
          return inner.convert(isDiagonal, element);
        }));
  return success();
}

} // namespace

void moe::addDataMovementLowerings(LoweringTable &table) {
  table.add(lowerRange);
  table.add(lowerTile);
  table.add(lowerPad);
  table.add(lowerDepthToSpace);
  table.add(lowerSpaceToDepth);
  table.add(lowerEyeLike);
}
