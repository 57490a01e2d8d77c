//===- TensorBuilder.cpp - tensor expressions in linalg ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/TensorBuilder.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/Utils/ReshapeOpsUtils.h"

using namespace mlir;
using namespace mlir::moe;

static RankedTensorType getTensorType(Value tensor) {
  return mlir::cast<RankedTensorType>(tensor.getType());
}

Value TensorBuilder::empty(ArrayRef<OpFoldResult> sizes, Type element) {
  return tensor::EmptyOp::create(builder, loc, sizes, element);
}

Value TensorBuilder::fill(Value scalar, ArrayRef<OpFoldResult> sizes) {
  Value target = empty(sizes, scalar.getType());
  return linalg::FillOp::create(builder, loc, scalar, target).getResult(0);
}

Value TensorBuilder::scalar(Value element) {
  return tensor::FromElementsOp::create(
      builder, loc, RankedTensorType::get({}, element.getType()), element);
}

Value TensorBuilder::extract(Value tensor, ValueRange indices) {
  return tensor::ExtractOp::create(builder, loc, tensor, indices);
}

/// One input of `map` in terms of the loops.
namespace {
struct MappedInput {
  Value tensor;
  /// Position of the first dimension of the input among the loops.
  int64_t shift;
  /// Read by computed indices, since an extent may turn out to be 1.
  bool indirect = false;
};
} // namespace

Value TensorBuilder::map(ValueRange inputs, Type element, Body body,
                         ArrayRef<int64_t> uncertain) {
  int64_t rank = 0;
  for (Value input : inputs)
    rank = std::max(rank, getTensorType(input).getRank());
  Sizes extents(rank, builder.getIndexAttr(1));
  SmallVector<MappedInput> mapped;
  for (Value input : inputs) {
    RankedTensorType type = getTensorType(input);
    MappedInput entry{input, rank - type.getRank()};
    for (int64_t i = 0; i < type.getRank(); ++i) {
      int64_t loop = entry.shift + i;
      if (type.getDimSize(i) == 1)
        continue;
      OpFoldResult own = size(input, i);
      bool maybe = llvm::is_contained(uncertain, loop);
      entry.indirect |= maybe && type.isDynamicDim(i);
      if (isConstantIntValue(extents[loop], 1))
        extents[loop] = own;
      else if (maybe && !getConstantIntValue(extents[loop])) {
        Value one = index(1), known = index(extents[loop]);
        Value isOne = arith::CmpIOp::create(
            builder, loc, arith::CmpIPredicate::eq, known, one);
        extents[loop] = select(isOne, index(own), known);
      } else if (getConstantIntValue(own) &&
                 !getConstantIntValue(extents[loop]))
        extents[loop] = own;
    }
    mapped.push_back(entry);
  }

  for (const MappedInput &entry : mapped)
    for (int64_t loop : uncertain)
      if (loop >= entry.shift)
        checkBroadcast(size(entry.tensor, loop - entry.shift), extents[loop]);

  MLIRContext *context = builder.getContext();
  SmallVector<Value> operands;
  SmallVector<AffineMap> maps;
  for (const MappedInput &entry : mapped) {
    if (entry.indirect)
      continue;
    RankedTensorType type = getTensorType(entry.tensor);
    SmallVector<AffineExpr> expressions;
    for (int64_t i = 0; i < type.getRank(); ++i) {
      bool fixed = type.getDimSize(i) == 1 &&
                   !isConstantIntValue(extents[entry.shift + i], 1);
      expressions.push_back(fixed ? getAffineConstantExpr(0, context)
                                  : getAffineDimExpr(entry.shift + i, context));
    }
    operands.push_back(entry.tensor);
    maps.push_back(AffineMap::get(rank, 0, expressions, context));
  }
  maps.push_back(AffineMap::getMultiDimIdentityMap(rank, context));
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  // Extents of indirect inputs are needed inside; compute them outside.
  SmallVector<SmallVector<Value>> indirectSizes;
  for (const MappedInput &entry : mapped) {
    SmallVector<Value> own;
    if (entry.indirect)
      for (OpFoldResult extent : sizes(entry.tensor))
        own.push_back(index(extent));
    indirectSizes.push_back(own);
  }
  auto op = linalg::GenericOp::create(
      builder, loc,
      RankedTensorType::get(getTensorType(empty(extents, element)).getShape(),
                            element),
      operands, ValueRange{empty(extents, element)}, maps, iterators,
      [&](OpBuilder &nested, Location nestedLoc, ValueRange arguments) {
        TensorBuilder inner(nested, nestedLoc);
        SmallVector<Value> elements;
        unsigned direct = 0;
        for (auto [entry, own] : llvm::zip_equal(mapped, indirectSizes)) {
          if (!entry.indirect) {
            elements.push_back(arguments[direct++]);
            continue;
          }
          SmallVector<Value> indices;
          Value zero = inner.index(0), one = inner.index(1);
          for (auto [i, extent] : llvm::enumerate(own)) {
            Value position =
                linalg::IndexOp::create(nested, nestedLoc, entry.shift + i);
            Value isOne = arith::CmpIOp::create(
                nested, nestedLoc, arith::CmpIPredicate::eq, extent, one);
            indices.push_back(inner.select(isOne, zero, position));
          }
          elements.push_back(inner.extract(entry.tensor, indices));
        }
        linalg::YieldOp::create(nested, nestedLoc, body(inner, elements));
      });
  return op.getResult(0);
}

Value TensorBuilder::generate(ArrayRef<OpFoldResult> sizes, Type element,
                              IndexBody body) {
  Value target = empty(sizes, element);
  int64_t rank = sizes.size();
  SmallVector<AffineMap> maps = {builder.getMultiDimIdentityMap(rank)};
  SmallVector<utils::IteratorType> iterators(rank,
                                             utils::IteratorType::parallel);
  return linalg::GenericOp::create(
             builder, loc, target.getType(), ValueRange(), target, maps,
             iterators,
             [&](OpBuilder &nested, Location nestedLoc, ValueRange) {
               TensorBuilder inner(nested, nestedLoc);
               SmallVector<Value> indices;
               for (int64_t i = 0; i < rank; ++i)
                 indices.push_back(
                     linalg::IndexOp::create(nested, nestedLoc, i));
               linalg::YieldOp::create(nested, nestedLoc, body(inner, indices));
             })
      .getResult(0);
}

Value TensorBuilder::cast(Value tensor, Type element) {
  if (getTensorType(tensor).getElementType() == element)
    return tensor;
  return map(tensor, element, [&](TensorBuilder &inner, ValueRange arguments) {
    return inner.convert(arguments[0], element);
  });
}

Value TensorBuilder::retype(Value tensor, RankedTensorType type) {
  auto plain = RankedTensorType::get(type.getShape(), type.getElementType());
  if (tensor.getType() == plain)
    return tensor;
  return tensor::CastOp::create(builder, loc, plain, tensor);
}

Value TensorBuilder::reshape(Value tensor, ArrayRef<OpFoldResult> sizes) {
  RankedTensorType type = getTensorType(tensor);
  Type element = type.getElementType();
  auto [shape, dynamic] = decomposeMixedValues(Sizes(sizes));
  auto target = RankedTensorType::get(shape, element);
  if (type == target && target.hasStaticShape())
    return tensor;
  if (target.getRank() == 0)
    return scalar(
        extract(tensor, SmallVector<Value>(type.getRank(), index(0))));
  // By way of one dimension; canonicalisation finds the shorter way.
  if (type.getRank() == 0) {
    SmallVector<ReassociationIndices> none;
    tensor = tensor::ExpandShapeOp::create(
        builder, loc, RankedTensorType::get({1}, element), tensor, none);
  } else if (type.getRank() > 1) {
    ReassociationIndices all;
    for (int64_t i = 0; i < type.getRank(); ++i)
      all.push_back(i);
    tensor = tensor::CollapseShapeOp::create(
        builder, loc, tensor, SmallVector<ReassociationIndices>{all});
  }
  if (target.getRank() == 1) {
    if (getTensorType(tensor) == target)
      return tensor;
    return tensor::CastOp::create(builder, loc, target, tensor);
  }
  ReassociationIndices all;
  for (int64_t i = 0; i < target.getRank(); ++i)
    all.push_back(i);
  // An expansion to static extents needs a static source.
  if (target.hasStaticShape())
    tensor = retype(tensor,
                    RankedTensorType::get({target.getNumElements()}, element));
  else if (getTensorType(tensor).hasStaticShape())
    tensor =
        retype(tensor, RankedTensorType::get({ShapedType::kDynamic}, element));
  return tensor::ExpandShapeOp::create(builder, loc, target, tensor,
                                       SmallVector<ReassociationIndices>{all},
                                       sizes);
}

Value TensorBuilder::insertUnit(Value tensor, int64_t dim) {
  Sizes extents = sizes(tensor);
  extents.insert(extents.begin() + dim, builder.getIndexAttr(1));
  return reshape(tensor, extents);
}

Value TensorBuilder::dropUnit(Value tensor, int64_t dim) {
  Sizes extents = sizes(tensor);
  extents.erase(extents.begin() + dim);
  return reshape(tensor, extents);
}

Value TensorBuilder::transpose(Value tensor, ArrayRef<int64_t> permutation) {
  Sizes extents = sizes(tensor);
  Sizes permuted =
      llvm::map_to_vector(permutation, [&](int64_t i) { return extents[i]; });
  Value target = empty(permuted, getTensorType(tensor).getElementType());
  return linalg::TransposeOp::create(builder, loc, tensor, target, permutation)
      ->getResult(0);
}

Value TensorBuilder::slice(Value tensor, int64_t dim, OpFoldResult offset,
                           OpFoldResult extent, int64_t step) {
  int64_t rank = getTensorType(tensor).getRank();
  Sizes offsets(rank, builder.getIndexAttr(0));
  Sizes strides(rank, builder.getIndexAttr(1));
  Sizes extents = sizes(tensor);
  offsets[dim] = offset;
  extents[dim] = extent;
  strides[dim] = builder.getIndexAttr(step);
  // No offset lies within an empty dimension.
  if (isConstantIntValue(extent, 0))
    return empty(extents, getTensorType(tensor).getElementType());
  return tensor::ExtractSliceOp::create(builder, loc, tensor, offsets, extents,
                                        strides);
}

Value TensorBuilder::concat(ValueRange tensors, int64_t dim) {
  Sizes extents = sizes(tensors.front());
  int64_t rank = extents.size();
  for (Value tensor : tensors.drop_front()) {
    for (int64_t i = 0; i < rank; ++i)
      if (i != dim)
        checkEqual(extents[i], size(tensor, i),
                   "expected tensors of equal extents but for the axis of a "
                   "concatenation");
    extents[dim] = addSizes(extents[dim], size(tensor, dim));
  }
  Value result =
      empty(extents, getTensorType(tensors.front()).getElementType());
  Sizes offsets(rank, builder.getIndexAttr(0));
  Sizes strides(rank, builder.getIndexAttr(1));
  for (Value tensor : tensors) {
    result = tensor::InsertSliceOp::create(builder, loc, tensor, result,
                                           offsets, sizes(tensor), strides);
    offsets[dim] = addSizes(offsets[dim], size(tensor, dim));
  }
  return result;
}

Value TensorBuilder::broadcast(Value tensor, ArrayRef<OpFoldResult> sizes,
                               ArrayRef<int64_t> uncertain) {
  // A second operand without data gives the loops their extents.
  Value shape = empty(sizes, builder.getI1Type());
  return map(
      {tensor, shape}, getTensorType(tensor).getElementType(),
      [](TensorBuilder &, ValueRange arguments) { return arguments[0]; },
      uncertain);
}

Value TensorBuilder::reduce(Value tensor, ArrayRef<int64_t> dims,
                            Reduction kind, bool keep, bool isUnsigned) {
  RankedTensorType type = getTensorType(tensor);
  Type element = type.getElementType();
  Type accumulator = getAccumulator(element);
  int64_t rank = type.getRank();
  Sizes extents = sizes(tensor), kept, withUnits;
  SmallVector<AffineExpr> expressions;
  SmallVector<utils::IteratorType> iterators;
  for (int64_t i = 0; i < rank; ++i) {
    bool reduced = llvm::is_contained(dims, i);
    iterators.push_back(reduced ? utils::IteratorType::reduction
                                : utils::IteratorType::parallel);
    withUnits.push_back(reduced ? builder.getIndexAttr(1) : extents[i]);
    if (reduced)
      continue;
    kept.push_back(extents[i]);
    expressions.push_back(builder.getAffineDimExpr(i));
  }
  Value neutral = kind == Reduction::Sum ? constant(accumulator, 0)
                  : kind == Reduction::Product
                      ? constant(accumulator, 1)
                      : extreme(accumulator, kind == Reduction::Min);
  if (isUnsigned && kind == Reduction::Max)
    neutral = constant(accumulator, 0);
  if (isUnsigned && kind == Reduction::Min)
    neutral = constant(accumulator, -1);
  SmallVector<AffineMap> maps = {
      builder.getMultiDimIdentityMap(rank),
      AffineMap::get(rank, 0, expressions, builder.getContext())};
  Value init = fill(neutral, kept);
  Value result =
      linalg::GenericOp::create(
          builder, loc, init.getType(), tensor, init, maps, iterators,
          [&](OpBuilder &nested, Location nestedLoc, ValueRange arguments) {
            TensorBuilder inner(nested, nestedLoc);
            Value next = inner.convert(arguments[0], accumulator);
            Value sum = arguments[1];
            switch (kind) {
            case Reduction::Sum:
              // Reordering lets the sum run in vector lanes; the order does
              // not depend on the other dimensions.
              if (isa<FloatType>(accumulator))
                sum = arith::AddFOp::create(nested, nestedLoc, sum, next,
                                            arith::FastMathFlags::reassoc);
              else
                sum = inner.add(sum, next);
              break;
            case Reduction::Product:
              sum = inner.mul(sum, next);
              break;
            case Reduction::Max:
              sum = inner.max(sum, next, isUnsigned);
              break;
            case Reduction::Min:
              sum = inner.min(sum, next, isUnsigned);
              break;
            }
            linalg::YieldOp::create(nested, nestedLoc, sum);
          })
          .getResult(0);
  result = cast(result, element);
  return keep ? reshape(result, withUnits) : result;
}

Value TensorBuilder::softmax(Value tensor, int64_t dim) {
  Type element = getTensorType(tensor).getElementType();
  Value wide = cast(tensor, getAccumulator(element));
  Type type = getAccumulator(element);
  Value greatest = reduce(wide, dim, Reduction::Max, /*keep=*/true);
  Value powers =
      map({wide, greatest}, type,
          [](TensorBuilder &inner, ValueRange arguments) -> Value {
            Value distance = inner.sub(arguments[0], arguments[1]);
            return math::ExpOp::create(inner.builder, inner.loc, distance);
          });
  Value sum = reduce(powers, dim, Reduction::Sum, /*keep=*/true);
  Value result =
      map({powers, sum}, type, [](TensorBuilder &inner, ValueRange arguments) {
        return inner.div(arguments[0], arguments[1]);
      });
  return cast(result, element);
}

Value TensorBuilder::matmul(Value a, Value b) {
  Type element = getTensorType(a).getElementType();
  Type accumulator = getAccumulator(element);
  int64_t rankA = getTensorType(a).getRank(),
          rankB = getTensorType(b).getRank();
  Value zero = constant(accumulator, 0);
  if (rankB == 2) {
    // Leading dimensions of `a` are rows.
    Sizes extents = sizes(a);
    Value rows = a;
    if (rankA > 2)
      rows =
          reshape(a, {product(ArrayRef(extents).drop_back()), extents.back()});
    Value init = fill(zero, {size(rows, 0), size(b, 1)});
    Value result = linalg::MatmulOp::create(builder, loc, ValueRange{rows, b},
                                            ValueRange{init})
                       .getResult(0);
    extents.back() = size(b, 1);
    if (rankA > 2)
      result = reshape(result, extents);
    return cast(result, element);
  }
  // Broadcast the batches, then flatten them into one dimension.
  int64_t batchRank = std::max(rankA, rankB) - 2;
  auto batched = [&](Value value, Value other) {
    int64_t rank = getTensorType(value).getRank();
    Sizes own = sizes(value), extents;
    int64_t otherRank = getTensorType(other).getRank();
    bool changed = false;
    for (int64_t i = 0; i < batchRank; ++i) {
      int64_t mine = i - (batchRank + 2 - rank);
      int64_t theirs = i - (batchRank + 2 - otherRank);
      bool unit = mine < 0 || isConstantIntValue(own[mine], 1);
      bool expand =
          unit && theirs >= 0 && getTensorType(other).getDimSize(theirs) != 1;
      changed |= expand;
      extents.push_back(
          expand
              ? size(other, theirs)
              : (mine < 0 ? OpFoldResult(builder.getIndexAttr(1)) : own[mine]));
    }
    Sizes full = extents;
    full.append(own.end() - 2, own.end());
    if (changed)
      value = broadcast(value, full);
    OpFoldResult batch = product(extents);
    return std::make_pair(reshape(value, {batch, own[rank - 2], own[rank - 1]}),
                          extents);
  };
  auto [flatA, extentsA] = batched(a, b);
  auto [flatB, extentsB] = batched(b, a);
  Sizes result = {size(flatA, 0), size(flatA, 1), size(flatB, 2)};
  Value product =
      linalg::BatchMatmulOp::create(builder, loc, ValueRange{flatA, flatB},
                                    ValueRange{fill(zero, result)})
          .getResult(0);
  Sizes extents = extentsA;
  extents.append({result[1], result[2]});
  return cast(reshape(product, extents), element);
}
