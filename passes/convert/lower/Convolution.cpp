//===- Convolution.cpp - lowering of convolutions -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// All convolutions are one contraction of a padded input with the weights. A
// transposed convolution spreads its input by the strides first and turns the
// kernel around; one of integers subtracts the zero points first.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Convolution.h"
#include "passes/convert/lower/Indexing.h"

using namespace mlir;
using namespace mlir::moe;

/// The dimension split into `count` and the rest.
static Value splitDim(TensorBuilder &t, Value tensor, int64_t dim,
                      int64_t count) {
  Sizes sizes = t.sizes(tensor);
  OpFoldResult groups = t.builder.getIndexAttr(count);
  OpFoldResult rest = t.divSizes(sizes[dim], groups);
  sizes[dim] = rest;
  sizes.insert(sizes.begin() + dim, groups);
  return t.reshape(tensor, sizes);
}

LogicalResult moe::checkGroups(Lowering &l, int64_t groups, int64_t extent,
                               StringRef what) {
  if (groups < 1 || ShapedType::isDynamic(extent) || extent % groups != 0)
    return l.error() << "expected " << what << " divisible by 'group' "
                     << groups << ", got " << extent;
  return success();
}

LogicalResult moe::checkChannels(Lowering &l, Value input, Value weight,
                                 Value bias, int64_t groups, bool transposed) {
  TensorBuilder &t = l.tensors;
  auto check = [&](OpFoldResult got, OpFoldResult wanted,
                   StringRef what) -> LogicalResult {
    std::optional<int64_t> own = getConstantIntValue(got);
    std::optional<int64_t> other = getConstantIntValue(wanted);
    if (own && other && *own != *other)
      return l.error() << "expected " << *other << " " << what << ", got "
                       << *own;
    t.checkEqual(got, wanted, "a convolution has operands that do not fit");
    return success();
  };
  OpFoldResult count = t.builder.getIndexAttr(groups);
  OpFoldResult other = t.mulSizes(t.size(weight, 1), count);
  OpFoldResult channels = transposed ? t.size(weight, 0) : other;
  OpFoldResult filters = transposed ? other : t.size(weight, 0);
  if (bias && Lowering::getType(bias).getRank() != 1)
    return l.error() << "expected a vector of biases, got "
                     << Lowering::getType(bias);
  if (failed(check(t.size(input, 1), channels, "channels")))
    return failure();
  return bias ? check(t.size(bias, 0), filters, "biases") : success();
}

Value moe::contractWindows(TensorBuilder &t, Value padded, Value weight,
                           Value bias, const Window &window, int64_t groups,
                           ArrayRef<OpFoldResult> places, bool transposed) {
  int64_t count = window.getRank(), loops = 2 * count + 4;
  Type element = Lowering::getType(padded).getElementType();
  Type wide = getAccumulator(element);
  padded = splitDim(t, padded, 1, groups);
  weight = splitDim(t, weight, 0, groups);
  // Weights are group x filter x channel x taps or, of a transposed
  // convolution, group x channel x filter x taps.
  OpFoldResult filters = t.size(weight, transposed ? 2 : 1);

  // Batch, group, filter, place; then channel and tap.
  Sizes result = {t.size(padded, 0), t.builder.getIndexAttr(groups), filters};
  AffineExpr channel = t.builder.getAffineDimExpr(3 + count);
  auto dim = [&](int64_t i) { return t.builder.getAffineDimExpr(i); };
  SmallVector<AffineExpr> inputPlace = {dim(0), dim(1), channel};
  SmallVector<AffineExpr> weightPlace = {dim(1), dim(2), channel};
  if (transposed)
    std::swap(weightPlace[1], weightPlace[2]);
  SmallVector<AffineExpr> resultPlace = {dim(0), dim(1), dim(2)};
  for (int64_t i = 0; i < count; ++i) {
    AffineExpr place = dim(3 + i), tap = dim(4 + count + i);
    inputPlace.push_back(place * window.strides[i] + tap * window.dilations[i]);
    weightPlace.push_back(transposed ? window.kernel[i] - 1 - tap : tap);
    resultPlace.push_back(place);
    result.push_back(places[i]);
  }
  Value start;
  if (bias) {
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
  SmallVector<Value> inputs = {padded, weight};
  SmallVector<AffineMap> maps = {
      AffineMap::get(loops, 0, inputPlace, context),
      AffineMap::get(loops, 0, weightPlace, context)};
  if (transposed) {
    // No operand is indexed by the taps alone; this one, without data, is.
    Sizes kernel;
    SmallVector<AffineExpr> taps;
    for (int64_t i = 0; i < count; ++i) {
      kernel.push_back(t.builder.getIndexAttr(window.kernel[i]));
      taps.push_back(dim(4 + count + i));
    }
    inputs.push_back(t.empty(kernel, t.builder.getI1Type()));
    maps.push_back(AffineMap::get(loops, 0, taps, context));
  }
  maps.push_back(AffineMap::get(loops, 0, resultPlace, context));
  Value sum =
      linalg::GenericOp::create(
          t.builder, t.loc, start.getType(), inputs, start, maps, iterators,
          [&](OpBuilder &nested, Location loc, ValueRange v) {
            TensorBuilder inner(nested, loc);
            Value product =
                inner.mul(inner.convert(v[0], wide), inner.convert(v[1], wide));
            linalg::YieldOp::create(nested, loc, inner.add(v.back(), product));
          })
          .getResult(0);
  Sizes merged = result;
  merged.erase(merged.begin() + 1);
  merged[1] = t.mulSizes(filters, t.builder.getIndexAttr(groups));
  return t.cast(t.reshape(sum, merged), element);
}

FailureOr<Value> moe::convolve(Lowering &l, Value input, Value weight,
                               Value bias, const WindowAttributes &attributes,
                               int64_t groups) {
  TensorBuilder &t = l.tensors;
  RankedTensorType inputType = Lowering::getType(input);
  RankedTensorType weightType = Lowering::getType(weight);
  if (weightType.getRank() != inputType.getRank())
    return l.error() << "expected operands of equal rank, 3 or higher, got "
                     << inputType << " and " << weightType;
  WindowAttributes withKernel = attributes;
  withKernel.kernel = weightType.getShape().drop_front(
      std::min<int64_t>(2, weightType.getRank()));
  FailureOr<Window> window = getWindow(l, inputType, withKernel);
  if (failed(window) ||
      failed(checkGroups(l, groups, weightType.getDimSize(0),
                         "a number of filters")) ||
      failed(checkChannels(l, input, weight, bias, groups)))
    return failure();
  FailureOr<Sizes> places = countPlaces(l, input, *window);
  if (failed(places))
    return failure();
  Value zero = t.constant(inputType.getElementType(), 0);
  return contractWindows(t, padForWindow(t, input, *window, *places, zero),
                         weight, bias, *window, groups, *places);
}

namespace {

LogicalResult lowerConv(onnx::ConvOp op, Lowering &l) {
  FailureOr<Value> result = convolve(
      l, l.get(op.getX()), l.get(op.getW()), l.get(op.getB()),
      {{}, op.getStrides(), op.getDilations(), op.getPads(), op.getAutoPad()},
      op.getGroup());
  if (failed(result))
    return failure();
  l.set(op.getY(), *result);
  return success();
}

//===----------------------------------------------------------------------===//
// ConvTranspose
//===----------------------------------------------------------------------===//

/// How far the result of a transposed convolution is cut or, where negative,
/// extended on either side of a dimension.
struct Cut {
  SmallVector<int64_t> before, after;
};

/// What `output_shape` and `auto_pad` mean for the pads.
FailureOr<Cut> getCut(onnx::ConvTransposeOp op, Lowering &l,
                      const Window &window) {
  int64_t count = window.getRank();
  RankedTensorType type = Lowering::getType(op.getX());
  SmallVector<int64_t> extra(count, 0);
  if (std::optional<ArrayRef<int64_t>> given = op.getOutputPadding())
    extra.assign(given->begin(), given->end());
  StringRef mode = op.getAutoPad();
  bool isSame = mode == "SAME_UPPER" || mode == "SAME_LOWER";
  std::optional<ArrayRef<int64_t>> shape = op.getOutputShape();
  if (int64_t(extra.size()) != count ||
      (shape && int64_t(shape->size()) != count) ||
      llvm::any_of(extra, [](int64_t i) { return i < 0; }))
    return l.error() << "expected 'output_padding' and 'output_shape' of "
                     << count << " spatial dimensions";
  Cut cut{window.before, window.after};
  for (int64_t i = 0; i < count; ++i) {
    cut.after[i] -= extra[i];
    if (!shape && !isSame)
      continue;
    int64_t length = type.getDimSize(2 + i), stride = window.strides[i];
    if (ShapedType::isDynamic(length))
      return l.error() << "expected known extents with 'auto_pad' or "
                          "'output_shape', got "
                       << type;
    int64_t wanted = shape ? (*shape)[i] : length * stride;
    int64_t total =
        (length - 1) * stride + extra[i] + window.getReach(i) - wanted;
    if (wanted < 1)
      return l.error() << "expected a positive 'output_shape', got " << wanted;
    if (isSame)
      total = std::max<int64_t>(total, 0);
    // What is wanted beyond the natural extent is added at the end.
    int64_t half = llvm::divideFloorSigned(total, 2);
    cut.before[i] = mode == "SAME_UPPER" ? half : total - half;
    cut.after[i] = total - cut.before[i] - extra[i];
  }
  return cut;
}

/// `input` with its elements apart by the strides, and zeros around it so that
/// a window of stride 1 makes the result of the transposed convolution.
Value spread(Lowering &l, Value input, const Window &window, const Cut &cut) {
  TensorBuilder &t = l.tensors;
  Sizes own = t.sizes(input), full = own;
  OpFoldResult zero = t.builder.getIndexAttr(0),
               one = t.builder.getIndexAttr(1);
  Sizes offsets(own.size(), zero), strides(own.size(), one);
  Sizes from(own.size(), zero), kept;
  bool isCut = false;
  for (int64_t i = 0; i < window.getRank(); ++i) {
    int64_t before = window.getReach(i) - 1 - cut.before[i];
    int64_t after = window.getReach(i) - 1 - cut.after[i];
    OpFoldResult stride = t.builder.getIndexAttr(window.strides[i]);
    OpFoldResult last = t.mulSizes(t.subSizes(own[2 + i], one), stride);
    strides[2 + i] = stride;
    offsets[2 + i] = t.builder.getIndexAttr(std::max<int64_t>(before, 0));
    full[2 + i] = t.addSizes(
        last, t.builder.getIndexAttr(1 + std::max<int64_t>(before, 0) +
                                     std::max<int64_t>(after, 0)));
    from[2 + i] = t.builder.getIndexAttr(std::max<int64_t>(-before, 0));
    isCut |= before < 0 || after < 0;
  }
  Type element = Lowering::getType(input).getElementType();
  Value result = tensor::InsertSliceOp::create(
      t.builder, t.loc, input, t.fill(t.constant(element, 0), full), offsets,
      own, strides);
  if (!isCut)
    return result;
  kept = full;
  for (int64_t i = 0; i < window.getRank(); ++i) {
    int64_t after = window.getReach(i) - 1 - cut.after[i];
    kept[2 + i] =
        t.subSizes(t.subSizes(full[2 + i], from[2 + i]),
                   t.builder.getIndexAttr(std::max<int64_t>(-after, 0)));
  }
  return tensor::ExtractSliceOp::create(t.builder, t.loc, result, from, kept,
                                        Sizes(own.size(), one));
}

LogicalResult lowerConvTranspose(onnx::ConvTransposeOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX()), weight = l.get(op.getW());
  RankedTensorType inputType = Lowering::getType(input);
  RankedTensorType weightType = Lowering::getType(weight);
  if (weightType.getRank() != inputType.getRank() || inputType.getRank() < 3)
    return l.error() << "expected operands of equal rank, 3 or higher, got "
                     << inputType << " and " << weightType;
  bool hasPads = op.getAutoPad() == "NOTSET" && !op.getOutputShape();
  FailureOr<Window> window =
      getWindow(l, inputType,
                {weightType.getShape().drop_front(2), op.getStrides(),
                 op.getDilations(), hasPads ? op.getPads() : std::nullopt});
  int64_t groups = op.getGroup();
  if (failed(window) ||
      failed(checkGroups(l, groups, weightType.getDimSize(0),
                         "a number of channels")) ||
      failed(checkChannels(l, input, weight, l.get(op.getB()), groups,
                           /*transposed=*/true)))
    return failure();
  for (int64_t i = 0; i < window->getRank(); ++i) {
    OpFoldResult extent = t.size(input, 2 + i);
    if (isConstantIntValue(extent, 0))
      return l.error() << "expected an input that is not empty, got "
                       << inputType;
    if (!getConstantIntValue(extent))
      t.check(compareIndex(t, arith::CmpIPredicate::sgt, t.index(extent),
                           t.index(0)),
              "the input of a transposed convolution is empty");
  }
  FailureOr<Cut> cut = getCut(op, l, *window);
  if (failed(cut))
    return failure();
  Value wide = spread(l, input, *window, *cut);
  Window sliding = *window;
  sliding.strides.assign(window->getRank(), 1);
  sliding.before.assign(window->getRank(), 0);
  sliding.after = sliding.before;
  FailureOr<Sizes> places = countPlaces(l, wide, sliding);
  if (failed(places))
    return failure();
  l.set(op.getY(), contractWindows(t, wide, weight, l.get(op.getB()), sliding,
                                   groups, *places, /*transposed=*/true));
  return success();
}

} // namespace

void moe::addConvolutionLowerings(LoweringTable &table) {
  table.add(lowerConv);
  table.add(lowerConvTranspose);
}
