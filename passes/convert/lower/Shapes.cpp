//===- Shapes.cpp - lowering of operators that rearrange whole tensors ------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/NarrowTypes.h"
#include "passes/convert/lower/RuntimeAxes.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// The elements as lowered tensors hold them.
DenseElementsAttr toStored(DenseElementsAttr value) {
  Type element = value.getElementType(), stored = getStoredType(element);
  if (isNarrowInteger(element))
    return value.mapValues(stored, [&](const APInt &number) {
      return element.isUnsignedInteger() ? number.zext(8) : number.sext(8);
    });
  if (isNarrowFloat(element))
    return value.mapValues(stored, [&](const APFloat &number) {
      return number.bitcastToAPInt().zext(8);
    });
  // The bits stay, only the sign in the type goes.
  return element == stored ? value : value.bitcast(stored);
}

LogicalResult lowerConstant(onnx::ConstantOp op, Lowering &l) {
  auto value = toStored(cast<DenseElementsAttr>(op.getValue()));
  l.set(op.getOutput(),
        arith::ConstantOp::create(l.tensors.builder, l.tensors.loc, value));
  return success();
}

LogicalResult lowerConstantOfShape(onnx::ConstantOfShapeOp op, Lowering &l) {
  auto type = cast<RankedTensorType>(getPlainType(op.getOutput().getType()));
  FailureOr<Sizes> sizes = l.getElements(op.getInput(), type.getRank());
  if (failed(sizes))
    return failure();
  TensorBuilder &t = l.tensors;
  Value element = t.constant(type.getElementType(), 0);
  if (auto given = dyn_cast_or_null<DenseElementsAttr>(op.getValueAttr())) {
    DenseElementsAttr value = toStored(given);
    if (isa<FloatType>(type.getElementType()))
      element = t.constant(type.getElementType(),
                           (*value.value_begin<APFloat>()).convertToDouble());
    else
      element = arith::ConstantOp::create(
          t.builder, t.loc,
          t.builder.getIntegerAttr(type.getElementType(),
                                   *value.value_begin<APInt>()));
  }
  l.set(op.getOutput(), t.fill(element, l.refine(op.getOutput(), *sizes)));
  return success();
}

/// The elements of a vector as a tensor of i64.
Value buildVector(TensorBuilder &t, ArrayRef<OpFoldResult> elements) {
  Type i64 = t.builder.getI64Type();
  SmallVector<Value> values;
  for (OpFoldResult element : elements)
    values.push_back(t.convert(t.index(element), i64));
  return tensor::FromElementsOp::create(
      t.builder, t.loc,
      RankedTensorType::get({static_cast<int64_t>(values.size())}, i64),
      values);
}

LogicalResult lowerShape(onnx::ShapeOp op, Lowering &l) {
  FailureOr<Sizes> elements = l.getElements(op.getShape());
  if (failed(elements))
    return failure();
  l.set(op.getShape(), buildVector(l.tensors, *elements));
  return success();
}

LogicalResult lowerSize(onnx::SizeOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value count = t.index(t.product(t.sizes(l.get(op.getData()))));
  l.set(op.getSize(), t.scalar(t.convert(count, t.builder.getI64Type())));
  return success();
}

/// Whether `size` is read from a tensor, and thus may be any number.
bool isFromData(OpFoldResult size) {
  auto value = dyn_cast<Value>(size);
  while (value && isa_and_nonnull<arith::IndexCastOp>(value.getDefiningOp()))
    value = value.getDefiningOp()->getOperand(0);
  return value && isa_and_nonnull<tensor::ExtractOp>(value.getDefiningOp());
}

LogicalResult lowerReshape(onnx::ReshapeOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  Value result = op.getReshaped();
  RankedTensorType type = Lowering::getType(result);
  FailureOr<Sizes> wanted = l.getElements(op.getShape(), type.getRank());
  if (failed(wanted))
    return failure();
  Sizes own = t.sizes(data), sizes;
  OpFoldResult total = t.product(own);
  OpFoldResult minusOne = t.builder.getIndexAttr(-1);

  // Entries that may turn out to be 0 or -1 at run time.
  for (auto [i, entry] : llvm::enumerate(*wanted)) {
    std::optional<int64_t> constant = getConstantIntValue(entry);
    if (!type.isDynamicDim(i)) {
      sizes.push_back(t.builder.getIndexAttr(type.getDimSize(i)));
    } else if (constant == -1) {
      sizes.push_back(minusOne);
    } else if (constant == 0 && !op.getAllowzero() && i < own.size()) {
      sizes.push_back(own[i]);
    } else if (!op.getAllowzero() && i < own.size() && isFromData(entry)) {
      Value isZero =
          t.compare(arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ,
                    t.index(entry), t.index(0));
      sizes.push_back(t.select(isZero, t.index(own[i]), t.index(entry)));
    } else {
      sizes.push_back(entry);
    }
  }
  // With one unknown extent, it is what remains, whatever the entry says.
  unsigned dynamic =
      llvm::count_if(llvm::seq<int64_t>(0, type.getRank()),
                     [&](int64_t i) { return type.isDynamicDim(i); });
  OpFoldResult known = t.builder.getIndexAttr(1);
  for (auto [i, extent] : llvm::enumerate(sizes)) {
    bool isUnknown =
        dynamic == 1 ? type.isDynamicDim(i) : isConstantIntValue(extent, -1);
    if (isUnknown)
      continue;
    if (!getConstantIntValue(extent)) {
      // A run-time -1 does not count.
      Value value = t.index(extent), one = t.index(1);
      Value isFree = t.compare(arith::CmpIPredicate::slt,
                               arith::CmpFPredicate::OLT, value, t.index(0));
      known = t.mulSizes(known, t.select(isFree, one, value));
    } else {
      known = t.mulSizes(known, extent);
    }
  }
  OpFoldResult rest = t.divSizes(total, known);
  for (auto [i, extent] : llvm::enumerate(sizes)) {
    bool isUnknown =
        dynamic == 1 ? type.isDynamicDim(i) : isConstantIntValue(extent, -1);
    if (isUnknown) {
      extent = rest;
    } else if (!getConstantIntValue(extent)) {
      Value value = t.index(extent);
      Value isFree = t.compare(arith::CmpIPredicate::slt,
                               arith::CmpFPredicate::OLT, value, t.index(0));
      extent = t.select(isFree, t.index(rest), value);
    }
  }
  if (dynamic > 0)
    t.checkEqual(total, t.product(sizes),
                 "Reshape: the new shape has another number of elements");
  l.set(result, t.reshape(data, sizes));
  return success();
}

LogicalResult lowerFlatten(onnx::FlattenOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getInput());
  Sizes sizes = t.sizes(data);
  int64_t rank = sizes.size();
  int64_t given = op.getAxis();
  int64_t axis = given < 0 ? given + rank : given;
  if (axis < 0 || axis > rank)
    return l.error() << "expected an axis in [" << -rank << ", " << rank
                     << "], got " << given;
  l.set(op.getOutput(),
        t.reshape(data, {t.product(ArrayRef(sizes).take_front(axis)),
                         t.product(ArrayRef(sizes).drop_front(axis))}));
  return success();
}

int64_t countDistinct(ArrayRef<OpFoldResult> axes) {
  llvm::SmallDenseSet<int64_t> distinct;
  for (OpFoldResult axis : axes)
    distinct.insert(*getConstantIntValue(axis));
  return distinct.size();
}

LogicalResult lowerSqueeze(onnx::SqueezeOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  Sizes sizes = t.sizes(data), axes;
  OpFoldResult one = t.builder.getIndexAttr(1);
  if (Lowering::has(op.getAxes())) {
    FailureOr<Sizes> given = readAxes(l, op.getAxes(), sizes.size());
    if (failed(given))
      return failure();
    axes = *given;
  } else {
    for (auto [i, size] : llvm::enumerate(sizes))
      if (isConstantIntValue(size, 1))
        axes.push_back(t.builder.getIndexAttr(i));
  }
  for (OpFoldResult axis : axes)
    t.checkEqual(selectAt(t, sizes, axis), one,
                 "Squeeze: expected an extent of 1");
  int64_t rank = Lowering::getType(op.getSqueezed()).getRank();
  if (areKnown(axes) && countDistinct(axes) + rank != int64_t(sizes.size()))
    return l.error() << "expected a result of rank "
                     << int64_t(sizes.size()) - countDistinct(axes) << ", got "
                     << rank;
  l.set(op.getSqueezed(), t.reshape(data, dropAxes(t, sizes, axes, rank)));
  return success();
}

LogicalResult lowerUnsqueeze(onnx::UnsqueezeOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  Sizes sizes = t.sizes(data);
  int64_t rank = Lowering::getType(op.getExpanded()).getRank();
  FailureOr<Sizes> axes = readAxes(l, op.getAxes(), rank);
  if (failed(axes))
    return failure();
  bool known = areKnown(*axes);
  int64_t count = known ? countDistinct(*axes) : axes->size();
  if (int64_t(sizes.size()) + count != rank)
    return l.error() << "expected " << rank - int64_t(sizes.size())
                     << " distinct axes, got " << count;
  Sizes expanded = insertAxes(t, sizes, *axes, rank);
  if (!known)
    t.checkEqual(t.product(sizes), t.product(expanded),
                 "Unsqueeze: expected axes that differ");
  l.set(op.getExpanded(), t.reshape(data, expanded));
  return success();
}

LogicalResult lowerTranspose(onnx::TransposeOp op, Lowering &l) {
  int64_t rank = Lowering::getType(op.getData()).getRank();
  SmallVector<int64_t> permutation;
  if (std::optional<ArrayRef<int64_t>> perm = op.getPerm()) {
    permutation.assign(perm->begin(), perm->end());
  } else {
    for (int64_t i = rank; i-- > 0;)
      permutation.push_back(i);
  }
  if (!isPermutationVector(permutation) ||
      static_cast<int64_t>(permutation.size()) != rank)
    return l.error() << "expected a permutation of " << rank << " dimensions";
  l.set(op.getTransposed(),
        l.tensors.transpose(l.get(op.getData()), permutation));
  return success();
}

LogicalResult lowerConcat(onnx::ConcatOp op, Lowering &l) {
  SmallVector<Value> parts;
  for (Value input : op.getInputs())
    parts.push_back(l.get(input));
  FailureOr<int64_t> axis = l.getAxis(
      op.getAxis(), Lowering::getType(op.getInputs().front()).getRank());
  if (failed(axis))
    return failure();
  l.set(op.getConcatResult(), l.tensors.concat(parts, *axis));
  return success();
}

LogicalResult lowerExpand(onnx::ExpandOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  FailureOr<Sizes> shape = l.getElements(op.getShape());
  if (failed(shape))
    return failure();
  RankedTensorType inputType = Lowering::getType(op.getInput());
  RankedTensorType type = Lowering::getType(op.getOutput());
  Sizes own = t.sizes(input);
  int64_t rank = type.getRank();
  Sizes sizes;
  SmallVector<int64_t> uncertain;
  // An entry of 1 keeps the extent of the input.
  for (int64_t i = 0; i < rank; ++i) {
    int64_t mine = i - (rank - inputType.getRank());
    int64_t entry = i - (rank - static_cast<int64_t>(shape->size()));
    bool isUnit = mine < 0 || inputType.getDimSize(mine) == 1;
    if (!type.isDynamicDim(i)) {
      sizes.push_back(t.builder.getIndexAttr(type.getDimSize(i)));
      if (!isUnit && inputType.isDynamicDim(mine))
        uncertain.push_back(i);
    } else if (entry < 0 || isConstantIntValue((*shape)[entry], 1)) {
      sizes.push_back(own[mine]);
    } else if (isUnit) {
      sizes.push_back((*shape)[entry]);
    } else {
      Value wanted = t.index((*shape)[entry]);
      Value isOne = t.compare(arith::CmpIPredicate::eq,
                              arith::CmpFPredicate::OEQ, wanted, t.index(1));
      sizes.push_back(t.select(isOne, t.index(own[mine]), wanted));
      uncertain.push_back(i);
    }
  }
  l.set(op.getOutput(), t.broadcast(input, sizes, uncertain));
  return success();
}

LogicalResult lowerSplit(onnx::SplitOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  FailureOr<int64_t> axis =
      l.getAxis(op.getAxis(), Lowering::getType(op.getInput()).getRank());
  if (failed(axis))
    return failure();
  OpFoldResult extent = t.size(input, *axis);
  Sizes parts;
  int64_t count = op.getOutputs().size();
  if (Lowering::has(op.getSplit())) {
    FailureOr<Sizes> given = l.getElements(op.getSplit(), count);
    if (failed(given))
      return failure();
    parts = *given;
    OpFoldResult sum = t.builder.getIndexAttr(0);
    for (OpFoldResult part : parts)
      sum = t.addSizes(sum, part);
    t.checkEqual(sum, extent, "Split: the sizes do not add up to the extent");
  } else {
    // All parts have one size, only the last may be smaller.
    OpFoldResult size =
        t.divSizes(t.addSizes(extent, t.builder.getIndexAttr(count - 1)),
                   t.builder.getIndexAttr(count));
    parts.assign(count - 1, size);
    parts.push_back(t.subSizes(
        extent, t.mulSizes(size, t.builder.getIndexAttr(count - 1))));
  }
  OpFoldResult offset = t.builder.getIndexAttr(0);
  for (auto [result, part] : llvm::zip_equal(op.getOutputs(), parts)) {
    l.set(result, t.slice(input, *axis, offset, part));
    offset = t.addSizes(offset, part);
  }
  return success();
}

} // namespace

void moe::addShapeLowerings(LoweringTable &table) {
  table.add(lowerConstant);
  table.add(lowerConstantOfShape);
  table.add(lowerShape);
  table.add(lowerSize);
  table.add(lowerReshape);
  table.add(lowerFlatten);
  table.add(lowerSqueeze);
  table.add(lowerUnsqueeze);
  table.add(lowerTranspose);
  table.add(lowerConcat);
  table.add(lowerExpand);
  table.add(lowerSplit);
}
