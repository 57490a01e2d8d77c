//===- Convolution.cpp - lowering of convolutions -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Attributes of a convolution, one entry for each spatial dimension.
struct Window {
  SmallVector<int64_t> kernel, strides, dilations, before, after;
};

/// Padding that makes the result as long as the input, divided by the stride.
LogicalResult padToSame(Lowering &l, RankedTensorType input, bool extraLast,
                        Window &window) {
  for (auto [i, extent] : llvm::enumerate(window.kernel)) {
    int64_t length = input.getDimSize(i + 2), stride = window.strides[i];
    if (ShapedType::isDynamic(length) && stride != 1)
      return l.error() << "expected a known extent with 'auto_pad' and stride "
                       << stride;
    int64_t covered = (extent - 1) * window.dilations[i] + 1;
    int64_t total =
        stride == 1
            ? covered - 1
            : std::max<int64_t>(((length + stride - 1) / stride - 1) * stride +
                                    covered - length,
                                0);
    window.before[i] = extraLast ? total / 2 : total - total / 2;
    window.after[i] = total - window.before[i];
  }
  return success();
}

FailureOr<Window> getWindow(onnx::ConvOp op, Lowering &l) {
  RankedTensorType weight = Lowering::getType(op.getW());
  RankedTensorType input = Lowering::getType(op.getX());
  int64_t count = input.getRank() - 2;
  if (count < 1 || weight.getRank() != input.getRank())
    return l.error() << "expected operands of equal rank, 3 or higher, got "
                     << input << " and " << weight;
  Window window;
  window.kernel.assign(weight.getShape().begin() + 2, weight.getShape().end());
  auto read = [&](std::optional<ArrayRef<int64_t>> given, size_t size,
                  int64_t otherwise) {
    return given ? SmallVector<int64_t>(*given)
                 : SmallVector<int64_t>(size, otherwise);
  };
  window.strides = read(op.getStrides(), count, 1);
  window.dilations = read(op.getDilations(), count, 1);
  SmallVector<int64_t> pads = read(op.getPads(), 2 * count, 0);
  bool fits = window.strides.size() == size_t(count) &&
              window.dilations.size() == size_t(count) &&
              pads.size() == size_t(2 * count);
  auto isPositive = [](int64_t i) { return i > 0; };
  if (!fits || !llvm::all_of(window.kernel, isPositive) ||
      !llvm::all_of(window.strides, isPositive) ||
      !llvm::all_of(window.dilations, isPositive) ||
      llvm::any_of(pads, [](int64_t i) { return i < 0; }))
    return l.error() << "expected a known kernel, and positive strides, "
                        "dilations and pads for "
                     << count << " spatial dimensions";
  window.before.assign(pads.begin(), pads.begin() + count);
  window.after.assign(pads.begin() + count, pads.end());
  StringRef mode = op.getAutoPad();
  if ((mode == "SAME_UPPER" || mode == "SAME_LOWER") &&
      failed(padToSame(l, input, mode == "SAME_UPPER", window)))
    return failure();
  return window;
}

/// The input with zeros around its spatial dimensions.
Value pad(TensorBuilder &t, Value input, const Window &window) {
  auto isZero = [](int64_t i) { return i == 0; };
  if (llvm::all_of(window.before, isZero) && llvm::all_of(window.after, isZero))
    return input;
  Sizes own = t.sizes(input), full = own;
  Sizes offsets(own.size(), t.builder.getIndexAttr(0));
  for (size_t i = 0; i < window.kernel.size(); ++i) {
    int64_t added = window.before[i] + window.after[i];
    full[i + 2] = t.addSizes(own[i + 2], t.builder.getIndexAttr(added));
    offsets[i + 2] = t.builder.getIndexAttr(window.before[i]);
  }
  Type element = Lowering::getType(input).getElementType();
  return tensor::InsertSliceOp::create(
      t.builder, t.loc, input, t.fill(t.constant(element, 0), full), offsets,
      own, Sizes(own.size(), t.builder.getIndexAttr(1)));
}

/// The dimension split into `count` and the rest.
Value splitDim(TensorBuilder &t, Value tensor, int64_t dim, int64_t count) {
  Sizes sizes = t.sizes(tensor);
  OpFoldResult groups = t.builder.getIndexAttr(count);
  OpFoldResult rest = t.divSizes(sizes[dim], groups);
  sizes[dim] = rest;
  sizes.insert(sizes.begin() + dim, groups);
  return t.reshape(tensor, sizes);
}

LogicalResult lowerConv(onnx::ConvOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  FailureOr<Window> window = getWindow(op, l);
  if (failed(window))
    return failure();
  int64_t groups = op.getGroup(), count = window->kernel.size();
  int64_t filters = Lowering::getType(op.getW()).getDimSize(0);
  if (groups < 1 || ShapedType::isDynamic(filters) || filters % groups != 0)
    return l.error() << "expected a number of filters divisible by 'group' "
                     << groups << ", got " << filters;
  Value padded = pad(t, l.get(op.getX()), *window);
  Type element = Lowering::getType(padded).getElementType();
  Type wide = getAccumulator(element);

  // Batch, group, filter, position; then channel and place in the kernel.
  Sizes result = {t.size(padded, 0), t.builder.getIndexAttr(groups),
                  t.builder.getIndexAttr(filters / groups)};
  int64_t loops = 2 * count + 4;
  AffineExpr channel = t.builder.getAffineDimExpr(3 + count);
  auto dim = [&](int64_t i) { return t.builder.getAffineDimExpr(i); };
  SmallVector<AffineExpr> inputPlace = {dim(0), dim(1), channel};
  SmallVector<AffineExpr> weightPlace = {dim(1), dim(2), channel};
  SmallVector<AffineExpr> resultPlace = {dim(0), dim(1), dim(2)};
  for (int64_t i = 0; i < count; ++i) {
    int64_t stride = window->strides[i], dilation = window->dilations[i];
    AffineExpr position = dim(3 + i), tap = dim(4 + count + i);
    inputPlace.push_back(position * stride + tap * dilation);
    weightPlace.push_back(tap);
    resultPlace.push_back(position);
    OpFoldResult covered =
        t.builder.getIndexAttr((window->kernel[i] - 1) * dilation + 1);
    OpFoldResult length = t.size(padded, 2 + i);
    std::optional<int64_t> known = getConstantIntValue(length);
    int64_t needed = *getConstantIntValue(covered);
    if (known && *known < needed)
      return l.error() << "expected a padded extent of at least " << needed
                       << ", got " << *known;
    if (!known)
      t.check(compareIndex(t, arith::CmpIPredicate::sge, t.index(length),
                           t.index(covered)),
              "the input of a convolution is smaller than its kernel");
    result.push_back(t.addSizes(
        t.divSizes(t.subSizes(length, covered), t.builder.getIndexAttr(stride)),
        t.builder.getIndexAttr(1)));
  }
  Value start;
  if (Value bias = l.get(op.getB())) {
    Sizes shape(count + 2, t.builder.getIndexAttr(1));
    shape[0] = result[1];
    shape[1] = result[2];
    start = t.broadcast(t.cast(t.reshape(bias, shape), wide), result);
  } else {
    start = t.fill(t.constant(wide, 0), result);
  }
  SmallVector<utils::IteratorType> iterators(loops,
                                             utils::IteratorType::parallel);
  for (int64_t i = 3 + count; i < loops; ++i)
    iterators[i] = utils::IteratorType::reduction;
  MLIRContext *context = t.builder.getContext();
  Value sum =
      linalg::GenericOp::create(
          t.builder, t.loc, start.getType(),
          ValueRange{splitDim(t, padded, 1, groups),
                     splitDim(t, l.get(op.getW()), 0, groups)},
          start,
          ArrayRef<AffineMap>{AffineMap::get(loops, 0, inputPlace, context),
                              AffineMap::get(loops, 0, weightPlace, context),
                              AffineMap::get(loops, 0, resultPlace, context)},
          iterators,
          [&](OpBuilder &nested, Location loc, ValueRange v) {
            TensorBuilder inner(nested, loc);
            Value product =
                inner.mul(inner.convert(v[0], wide), inner.convert(v[1], wide));
            linalg::YieldOp::create(nested, loc, inner.add(v[2], product));
          })
          .getResult(0);
  Sizes merged = result;
  merged.erase(merged.begin() + 1);
  merged[1] = t.builder.getIndexAttr(filters);
  l.set(op.getY(), t.cast(t.reshape(sum, merged), element));
  return success();
}

} // namespace

void moe::addConvolutionLowerings(LoweringTable &table) {
  table.add(lowerConv);
}
