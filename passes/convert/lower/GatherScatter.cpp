//===- GatherScatter.cpp - lowering of reads and writes at computed places ===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

SmallVector<Value> getIndices(TensorBuilder &t, ArrayRef<OpFoldResult> sizes) {
  SmallVector<Value> values;
  for (OpFoldResult size : sizes)
    values.push_back(t.index(size));
  return values;
}

/// `data[..., index, ...]` without a copy.
Value takeSlice(TensorBuilder &t, Value data, int64_t axis, int64_t index) {
  RankedTensorType type = Lowering::getType(data);
  Sizes offsets(type.getRank(), t.builder.getIndexAttr(0));
  Sizes strides(type.getRank(), t.builder.getIndexAttr(1));
  Sizes extents = t.sizes(data);
  offsets[axis] = t.builder.getIndexAttr(index);
  extents[axis] = t.builder.getIndexAttr(1);
  SmallVector<int64_t> shape(type.getShape());
  shape.erase(shape.begin() + axis);
  return tensor::ExtractSliceOp::create(
      t.builder, t.loc, RankedTensorType::get(shape, type.getElementType()),
      data, offsets, extents, strides);
}

LogicalResult lowerGather(onnx::GatherOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData()), indices = l.get(op.getIndices());
  int64_t rank = Lowering::getType(data).getRank();
  int64_t indexRank = Lowering::getType(indices).getRank();
  FailureOr<int64_t> axis = l.getAxis(op.getAxis(), rank);
  if (failed(axis))
    return failure();
  Sizes extents = t.sizes(data);
  OpFoldResult extent = extents[*axis];
  if (failed(checkIndices(l, op.getIndices(), indices, extent)))
    return failure();
  std::optional<SmallVector<int64_t>> known = getKnownIntegers(op.getIndices());
  std::optional<int64_t> bound = getConstantIntValue(extent);
  if (indexRank == 0 && known && (bound || known->front() >= 0)) {
    int64_t index = known->front();
    l.set(op.getOutput(),
          takeSlice(t, data, *axis, index < 0 ? index + *bound : index));
    return success();
  }
  Sizes result(ArrayRef(extents).take_front(*axis));
  result.append(t.sizes(indices));
  result.append(extents.begin() + *axis + 1, extents.end());
  Value limit = t.index(extent);
  l.set(op.getOutput(),
        t.generate(l.refine(op.getOutput(), result), getElement(data),
                   [&](TensorBuilder &inner, ValueRange position) {
                     Value index = inner.extract(
                         indices, position.slice(*axis, indexRank));
                     SmallVector<Value> source(position.take_front(*axis));
                     source.push_back(wrapIndex(inner, index, limit));
                     llvm::append_range(source,
                                        position.drop_front(*axis + indexRank));
                     return inner.extract(data, source);
                   }));
  return success();
}

LogicalResult lowerGatherElements(onnx::GatherElementsOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData()), indices = l.get(op.getIndices());
  FailureOr<int64_t> axis =
      l.getAxis(op.getAxis(), Lowering::getType(data).getRank());
  if (failed(axis))
    return failure();
  OpFoldResult extent = t.size(data, *axis);
  if (failed(checkIndices(l, op.getIndices(), indices, extent)))
    return failure();
  Value limit = t.index(extent);
  l.set(op.getOutput(),
        t.generate(t.sizes(indices), getElement(data),
                   [&](TensorBuilder &inner, ValueRange position) {
                     SmallVector<Value> source(position);
                     source[*axis] = wrapIndex(
                         inner, inner.extract(indices, position), limit);
                     return inner.extract(data, source);
                   }));
  return success();
}

/// The number of components of the index tuples of GatherND and ScatterND.
FailureOr<int64_t> getTupleLength(Lowering &l, Value indices) {
  RankedTensorType type = Lowering::getType(indices);
  if (type.getRank() == 0 || type.isDynamicDim(type.getRank() - 1))
    return l.error() << "expected indices with a last dimension of known "
                        "extent, got "
                     << type;
  return type.getShape().back();
}

/// Checks component i of the tuples against `extents[i]`.
LogicalResult checkTuples(Lowering &l, Value indices,
                          ArrayRef<OpFoldResult> extents) {
  TensorBuilder &t = l.tensors;
  int64_t last = Lowering::getType(indices).getRank() - 1;
  for (auto [i, extent] : llvm::enumerate(extents)) {
    Value component = extents.size() == 1
                          ? indices
                          : t.slice(indices, last, t.builder.getIndexAttr(i),
                                    t.builder.getIndexAttr(1));
    if (failed(checkIndices(l, component, component, extent)))
      return failure();
  }
  return success();
}

/// The tuple at `position` as indices into dimensions of the given extents.
SmallVector<Value> readTuple(TensorBuilder &t, Value indices,
                             ValueRange position, ArrayRef<Value> extents) {
  SmallVector<Value> result;
  for (auto [i, extent] : llvm::enumerate(extents)) {
    SmallVector<Value> place(position);
    place.push_back(t.index(i));
    result.push_back(wrapIndex(t, t.extract(indices, place), extent));
  }
  return result;
}

LogicalResult lowerGatherND(onnx::GatherNDOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData()), indices = l.get(op.getIndices());
  int64_t rank = Lowering::getType(data).getRank();
  int64_t outer = Lowering::getType(indices).getRank() - 1;
  FailureOr<int64_t> length = getTupleLength(l, indices);
  if (failed(length))
    return failure();
  int64_t batch = op.getBatchDims();
  if (batch < 0 || batch > outer || batch + *length > rank)
    return l.error() << "expected 'batch_dims' plus " << *length
                     << " index components within the " << rank
                     << " dimensions of the data, got " << batch;
  Sizes extents = t.sizes(data);
  auto addressed = ArrayRef(extents).slice(batch, *length);
  if (failed(checkTuples(l, indices, addressed)))
    return failure();
  Sizes result = t.sizes(indices);
  result.pop_back();
  result.append(extents.begin() + batch + *length, extents.end());
  SmallVector<Value> limits = getIndices(t, addressed);
  l.set(op.getOutput(),
        t.generate(l.refine(op.getOutput(), result), getElement(data),
                   [&](TensorBuilder &inner, ValueRange position) {
                     SmallVector<Value> source(position.take_front(batch));
                     source.append(readTuple(
                         inner, indices, position.take_front(outer), limits));
                     llvm::append_range(source, position.drop_front(outer));
                     return inner.extract(data, source);
                   }));
  return success();
}

using Combine = std::function<Value(TensorBuilder &, Value, Value)>;

/// How a written element meets the one that is there; null to replace it.
FailureOr<Combine> getCombine(Lowering &l, StringRef reduction,
                              bool isUnsigned) {
  if (reduction == "none")
    return Combine();
  if (reduction == "add")
    return Combine(
        [](TensorBuilder &t, Value a, Value b) { return t.add(a, b); });
  if (reduction == "mul")
    return Combine(
        [](TensorBuilder &t, Value a, Value b) { return t.mul(a, b); });
  if (reduction == "max")
    return Combine([isUnsigned](TensorBuilder &t, Value a, Value b) {
      return t.max(a, b, isUnsigned);
    });
  if (reduction == "min")
    return Combine([isUnsigned](TensorBuilder &t, Value a, Value b) {
      return t.min(a, b, isUnsigned);
    });
  return l.error() << "expected 'reduction' none, add, mul, max or min, got '"
                   << reduction << "'";
}

/// Writes each element of `updates` to the place that `locate` computes.
Value scatter(
    TensorBuilder &t, Value data, Value updates, const Combine &combine,
    function_ref<SmallVector<Value>(TensorBuilder &, ValueRange)> locate) {
  return buildLoops(t, t.sizes(updates), data,
                    [&](TensorBuilder &inner, ValueRange position,
                        ValueRange carried) -> SmallVector<Value> {
                      Value update = inner.extract(updates, position);
                      SmallVector<Value> place = locate(inner, position);
                      if (combine)
                        update = combine(
                            inner, inner.extract(carried[0], place), update);
                      return {tensor::InsertOp::create(
                          inner.builder, inner.loc, update, carried[0], place)};
                    })
      .front();
}

LogicalResult lowerScatterElements(onnx::ScatterElementsOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData()), indices = l.get(op.getIndices());
  FailureOr<int64_t> axis =
      l.getAxis(op.getAxis(), Lowering::getType(data).getRank());
  FailureOr<Combine> combine =
      getCombine(l, op.getReduction(), Lowering::isUnsigned(op.getData()));
  if (failed(axis) || failed(combine))
    return failure();
  OpFoldResult extent = t.size(data, *axis);
  if (failed(checkIndices(l, op.getIndices(), indices, extent)))
    return failure();
  Value limit = t.index(extent);
  l.set(op.getOutput(),
        scatter(t, data, l.get(op.getUpdates()), *combine,
                [&](TensorBuilder &inner, ValueRange position) {
                  SmallVector<Value> place(position);
                  place[*axis] =
                      wrapIndex(inner, inner.extract(indices, position), limit);
                  return place;
                }));
  return success();
}

LogicalResult lowerScatterND(onnx::ScatterNDOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData()), indices = l.get(op.getIndices());
  int64_t rank = Lowering::getType(data).getRank();
  int64_t outer = Lowering::getType(indices).getRank() - 1;
  FailureOr<int64_t> length = getTupleLength(l, indices);
  FailureOr<Combine> combine =
      getCombine(l, op.getReduction(), Lowering::isUnsigned(op.getData()));
  if (failed(length) || failed(combine))
    return failure();
  if (*length > rank)
    return l.error() << "expected at most " << rank << " index components, got "
                     << *length;
  Sizes extents = t.sizes(data);
  auto addressed = ArrayRef(extents).take_front(*length);
  if (failed(checkTuples(l, indices, addressed)))
    return failure();
  SmallVector<Value> limits = getIndices(t, addressed);
  l.set(op.getOutput(),
        scatter(t, data, l.get(op.getUpdates()), *combine,
                [&](TensorBuilder &inner, ValueRange position) {
                  SmallVector<Value> place = readTuple(
                      inner, indices, position.take_front(outer), limits);
                  llvm::append_range(place, position.drop_front(outer));
                  return place;
                }));
  return success();
}

} // namespace

void moe::addGatherScatterLowerings(LoweringTable &table) {
  table.add(lowerGather);
  table.add(lowerGatherElements);
  table.add(lowerGatherND);
  table.add(lowerScatterElements);
  table.add(lowerScatterND);
}
