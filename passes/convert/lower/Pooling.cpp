//===- Pooling.cpp - lowering of poolings ---------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A pooling folds the elements under a window into one. The input is padded
// with what the fold ignores; global poolings are reductions.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"
#include "passes/convert/lower/Window.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

/// Computes the next values of the accumulators from an element.
using Fold = function_ref<SmallVector<Value>(TensorBuilder &, Value element,
                                             ValueRange accumulators)>;

/// Folds the elements of `padded` under the window at all its places. The loops
/// are batch, channel, places and taps.
SmallVector<Value> slide(TensorBuilder &t, Value padded, const Window &window,
                         ArrayRef<OpFoldResult> places, ValueRange initial,
                         Fold fold) {
  MLIRContext *context = t.builder.getContext();
  int64_t count = window.getRank(), loops = 2 * count + 2;
  auto dim = [&](int64_t i) { return getAffineDimExpr(i, context); };
  SmallVector<AffineExpr> source = {dim(0), dim(1)}, taps, target = source;
  Sizes kernel, result = {t.size(padded, 0), t.size(padded, 1)};
  for (int64_t i = 0; i < count; ++i) {
    AffineExpr place = dim(2 + i), tap = dim(2 + count + i);
    source.push_back(place * window.strides[i] + tap * window.dilations[i]);
    taps.push_back(tap);
    target.push_back(place);
    kernel.push_back(t.builder.getIndexAttr(window.kernel[i]));
    result.push_back(places[i]);
  }
  SmallVector<AffineMap> maps = {AffineMap::get(loops, 0, source, context),
                                 AffineMap::get(loops, 0, taps, context)};
  SmallVector<Value> starts;
  for (Value value : initial) {
    starts.push_back(t.fill(value, result));
    maps.push_back(AffineMap::get(loops, 0, target, context));
  }
  SmallVector<utils::IteratorType> iterators(loops,
                                             utils::IteratorType::parallel);
  for (int64_t i = 2 + count; i < loops; ++i)
    iterators[i] = utils::IteratorType::reduction;
  // The second input has no data; it gives the taps their extents.
  Value extents = t.empty(kernel, t.builder.getI1Type());
  auto op = linalg::GenericOp::create(
      t.builder, t.loc, ValueRange(starts).getTypes(),
      ValueRange{padded, extents}, starts, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange v) {
        TensorBuilder inner(nested, loc);
        linalg::YieldOp::create(nested, loc,
                                fold(inner, v[0], v.drop_front(2)));
      });
  return SmallVector<Value>(op.getResults());
}

template <typename Op> FailureOr<Window> getPoolingWindow(Op op, Lowering &l) {
  return getWindow(l, Lowering::getType(op.getX()),
                   {op.getKernelShape(), op.getStrides(), op.getDilations(),
                    op.getPads(), op.getAutoPad(), op.getCeilMode() != 0});
}

//===----------------------------------------------------------------------===//
// MaxPool and MaxUnpool
//===----------------------------------------------------------------------===//

Value getLeast(TensorBuilder &t, Type element, bool isUnsigned) {
  return isUnsigned ? t.constant(element, 0) : t.extreme(element, false);
}

/// The place of an element among all elements of the input. `at` are the loops
/// of `slide`. Negative in the padding.
Value getFlatIndex(TensorBuilder &t, ArrayRef<Value> extents,
                   const Window &window, bool columnMajor) {
  int64_t count = window.getRank();
  auto loop = [&](int64_t i) -> Value {
    return linalg::IndexOp::create(t.builder, t.loc, i);
  };
  Value flat = t.add(t.mul(loop(0), extents[1]), loop(1));
  SmallVector<Value> inside, at;
  for (int64_t i = 0; i < count; ++i) {
    Value position =
        t.add(t.mul(loop(2 + i), t.index(window.strides[i])),
              t.mul(loop(2 + count + i), t.index(window.dilations[i])));
    position = t.sub(position, t.index(window.before[i]));
    inside.push_back(
        compareIndex(t, arith::CmpIPredicate::sge, position, t.index(0)));
    inside.push_back(
        compareIndex(t, arith::CmpIPredicate::slt, position, extents[2 + i]));
    at.push_back(position);
  }
  for (int64_t step = 0; step < count; ++step) {
    int64_t i = columnMajor ? count - 1 - step : step;
    flat = t.add(t.mul(flat, extents[2 + i]), at[i]);
  }
  return t.select(andAll(t, inside), flat, t.index(-1));
}

LogicalResult lowerMaxPool(onnx::MaxPoolOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  FailureOr<Window> window = getPoolingWindow(op, l);
  if (failed(window))
    return failure();
  FailureOr<Sizes> places = countPlaces(l, input, *window);
  if (failed(places))
    return failure();
  bool isUnsigned = Lowering::isUnsigned(op.getX());
  Value least = getLeast(t, getElement(input), isUnsigned);
  Value padded = padForWindow(t, input, *window, *places, least);
  if (!Lowering::has(op.getIndices())) {
    l.set(op.getY(), slide(t, padded, *window, *places, least,
                           [&](TensorBuilder &inner, Value element,
                               ValueRange best) -> SmallVector<Value> {
                             return {inner.max(best[0], element, isUnsigned)};
                           })
                         .front());
    return success();
  }
  SmallVector<Value> extents;
  for (OpFoldResult extent : t.sizes(input))
    extents.push_back(t.index(extent));
  Type i64 = t.builder.getI64Type();
  SmallVector<Value> found = slide(
      t, padded, *window, *places, {least, t.constant(i64, -1)},
      [&](TensorBuilder &inner, Value element,
          ValueRange best) -> SmallVector<Value> {
        Value place = inner.convert(
            getFlatIndex(inner, extents, *window, op.getStorageOrder()), i64);
        Value none = inner.constant(i64, 0);
        auto isNone = [&](Value index) {
          return compareIndex(inner, arith::CmpIPredicate::slt, index, none);
        };
        Value isGreater = inner.compare(
            isUnsigned ? arith::CmpIPredicate::ugt : arith::CmpIPredicate::sgt,
            arith::CmpFPredicate::OGT, element, best[0]);
        // The first element counts even if it is the least number.
        Value take = inner.select(isNone(best[1]),
                                  inner.constant(inner.builder.getI1Type(), 1),
                                  isGreater);
        take = inner.select(isNone(place),
                            inner.constant(inner.builder.getI1Type(), 0), take);
        return {inner.select(take, element, best[0]),
                inner.select(take, place, best[1])};
      });
  l.set(op.getY(), found[0]);
  l.set(op.getIndices(), found[1]);
  return success();
}

LogicalResult lowerMaxUnpool(onnx::MaxUnpoolOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX()), indices = l.get(op.getI());
  FailureOr<Window> window = getWindow(
      l, Lowering::getType(op.getX()),
      {op.getKernelShape(), op.getStrides(), std::nullopt, op.getPads()});
  if (failed(window))
    return failure();
  Sizes extents = t.sizes(input), natural(extents);
  if (Lowering::getType(indices).getRank() != int64_t(extents.size()))
    return l.error() << "expected an index for each element, got "
                     << Lowering::getType(op.getI());
  for (auto [own, other] : llvm::zip_equal(extents, t.sizes(indices)))
    t.checkEqual(own, other, "MaxUnpool: expected an index for each element");
  for (int64_t i = 0; i < window->getRank(); ++i) {
    OpFoldResult last =
        t.mulSizes(t.subSizes(extents[2 + i], t.builder.getIndexAttr(1)),
                   t.builder.getIndexAttr(window->strides[i]));
    natural[2 + i] = t.addSizes(last, t.builder.getIndexAttr(window->kernel[i] -
                                                             window->before[i] -
                                                             window->after[i]));
  }
  // Indices count the elements of the unpadded output.
  OpFoldResult total = t.product(natural);
  Type element = getElement(input);
  OpFoldResult count = t.product(extents);
  if (failed(checkIndices(l, op.getI(), indices, total)))
    return failure();
  Value flatIndices = t.reshape(indices, {count});
  Value flatInput = t.reshape(input, {count});
  Value limit = t.index(total);
  Value flat =
      buildLoops(t, {count}, t.fill(t.constant(element, 0), {total}),
                 [&](TensorBuilder &inner, ValueRange at,
                     ValueRange carried) -> SmallVector<Value> {
                   Value place =
                       wrapIndex(inner, inner.extract(flatIndices, at), limit);
                   return {tensor::InsertOp::create(
                       inner.builder, inner.loc, inner.extract(flatInput, at),
                       carried[0], place)};
                 })
          .front();
  Value result = t.reshape(flat, natural);
  if (Lowering::has(op.getOutputShape())) {
    FailureOr<Sizes> shape = l.getElements(op.getOutputShape(), extents.size());
    if (failed(shape))
      return failure();
    Sizes sizes = l.refine(op.getOutput(), *shape);
    for (auto [own, wanted] : llvm::zip_equal(natural, sizes))
      t.check(compareIndex(t, arith::CmpIPredicate::sle, t.index(own),
                           t.index(wanted)),
              "'output_shape' of MaxUnpool is smaller than what is unpooled");
    OpFoldResult zero = t.builder.getIndexAttr(0);
    result = tensor::InsertSliceOp::create(
        t.builder, t.loc, result, t.fill(t.constant(element, 0), sizes),
        Sizes(natural.size(), zero), natural,
        Sizes(natural.size(), t.builder.getIndexAttr(1)));
  }
  l.set(op.getOutput(), result);
  return success();
}

//===----------------------------------------------------------------------===//
// AveragePool
//===----------------------------------------------------------------------===//

/// The number of taps that count at the place of the loops, in one dimension:
/// those from `low` on and before `high`.
Value countTaps(TensorBuilder &t, const Window &window, int64_t i, Value low,
                Value high) {
  Value dilation = t.index(window.dilations[i]);
  Value place = linalg::IndexOp::create(t.builder, t.loc, 2 + i);
  Value start = t.sub(t.mul(place, t.index(window.strides[i])),
                      t.index(window.before[i]));
  auto tapsUpTo = [&](Value bound) -> Value {
    Value distance = t.max(t.sub(bound, start), t.index(0));
    Value taps =
        arith::CeilDivSIOp::create(t.builder, t.loc, distance, dilation);
    return t.min(taps, t.index(window.kernel[i]));
  };
  return t.sub(tapsUpTo(high), tapsUpTo(low));
}

LogicalResult lowerAveragePool(onnx::AveragePoolOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  FailureOr<Window> window = getPoolingWindow(op, l);
  if (failed(window))
    return failure();
  FailureOr<Sizes> places = countPlaces(l, input, *window);
  if (failed(places))
    return failure();
  Type element = getElement(input), wide = getAccumulator(element);
  Value zero = t.constant(element, 0);
  Value sum = slide(t, padForWindow(t, input, *window, *places, zero), *window,
                    *places, t.constant(wide, 0),
                    [&](TensorBuilder &inner, Value next,
                        ValueRange total) -> SmallVector<Value> {
                      return {inner.add(total[0], inner.convert(next, wide))};
                    })
                  .front();
  bool includePad = op.getCountIncludePad();
  bool isWhole = !window->roundUp && (includePad || !window->isPadded());
  int64_t taps = 1;
  SmallVector<Value> lows, highs;
  for (int64_t i = 0; i < window->getRank(); ++i) {
    taps *= window->kernel[i];
    OpFoldResult high = t.size(input, 2 + i);
    if (includePad)
      high = t.addSizes(high, t.builder.getIndexAttr(window->after[i]));
    lows.push_back(t.index(includePad ? -window->before[i] : 0));
    highs.push_back(t.index(high));
  }
  l.set(op.getY(), t.map(sum, element, [&](TensorBuilder &inner, ValueRange v) {
    if (isWhole)
      return inner.convert(inner.div(v[0], inner.constant(wide, double(taps))),
                           element);
    Value count = inner.index(1);
    for (int64_t i = 0; i < window->getRank(); ++i)
      count = inner.mul(count, countTaps(inner, *window, i, lows[i], highs[i]));
    return inner.convert(inner.div(v[0], inner.convert(count, wide)), element);
  }));
  return success();
}

//===----------------------------------------------------------------------===//
// LpPool
//===----------------------------------------------------------------------===//

Value absolutePower(TensorBuilder &t, Value x, int64_t p) {
  Value size = math::AbsFOp::create(t.builder, t.loc, x);
  if (p == 1)
    return size;
  if (p == 2)
    return t.mul(size, size);
  return math::PowFOp::create(t.builder, t.loc, size,
                              t.constant(x.getType(), double(p)));
}

Value rootOf(TensorBuilder &t, Value x, int64_t p) {
  if (p == 1)
    return x;
  if (p == 2)
    return math::SqrtOp::create(t.builder, t.loc, x);
  return math::PowFOp::create(t.builder, t.loc, x,
                              t.constant(x.getType(), 1.0 / double(p)));
}

LogicalResult checkNorm(Lowering &l, int64_t p) {
  if (p < 1)
    return l.error() << "expected a positive 'p', got " << p;
  return success();
}

LogicalResult lowerLpPool(onnx::LpPoolOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  int64_t p = op.getP();
  FailureOr<Window> window = getPoolingWindow(op, l);
  if (failed(window) || failed(checkNorm(l, p)))
    return failure();
  FailureOr<Sizes> places = countPlaces(l, input, *window);
  if (failed(places))
    return failure();
  Type element = getElement(input), wide = getAccumulator(element);
  Value padded =
      padForWindow(t, input, *window, *places, t.constant(element, 0));
  Value sum = slide(t, padded, *window, *places, t.constant(wide, 0),
                    [&](TensorBuilder &inner, Value next,
                        ValueRange total) -> SmallVector<Value> {
                      Value power =
                          absolutePower(inner, inner.convert(next, wide), p);
                      return {inner.add(total[0], power)};
                    })
                  .front();
  l.set(op.getY(), t.map(sum, element, [&](TensorBuilder &inner, ValueRange v) {
    return inner.convert(rootOf(inner, v[0], p), element);
  }));
  return success();
}

//===----------------------------------------------------------------------===//
// Global poolings
//===----------------------------------------------------------------------===//

/// The dimensions behind batch and channel.
FailureOr<SmallVector<int64_t>> getSpatialDims(Lowering &l, Value input) {
  int64_t rank = Lowering::getType(input).getRank();
  if (rank < 3)
    return l.error() << "expected an input of rank 3 or higher, got " << rank;
  return llvm::to_vector(llvm::seq<int64_t>(2, rank));
}

LogicalResult lowerGlobalMaxPool(onnx::GlobalMaxPoolOp op, Lowering &l) {
  FailureOr<SmallVector<int64_t>> dims = getSpatialDims(l, op.getX());
  if (failed(dims))
    return failure();
  l.set(op.getY(), l.tensors.reduce(l.get(op.getX()), *dims, Reduction::Max,
                                    /*keep=*/true));
  return success();
}

LogicalResult lowerGlobalAveragePool(onnx::GlobalAveragePoolOp op,
                                     Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  FailureOr<SmallVector<int64_t>> dims = getSpatialDims(l, op.getX());
  if (failed(dims))
    return failure();
  Type element = getElement(input), wide = getAccumulator(element);
  Value count = t.convert(
      t.index(t.product(ArrayRef(t.sizes(input)).drop_front(2))), wide);
  Value sum = t.reduce(t.cast(input, wide), *dims, Reduction::Sum, true);
  l.set(op.getY(), t.map(sum, element, [&](TensorBuilder &inner, ValueRange v) {
    return inner.convert(inner.div(v[0], count), element);
  }));
  return success();
}

LogicalResult lowerGlobalLpPool(onnx::GlobalLpPoolOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getX());
  int64_t p = op.getP();
  FailureOr<SmallVector<int64_t>> dims = getSpatialDims(l, op.getX());
  if (failed(dims) || failed(checkNorm(l, p)))
    return failure();
  Type element = getElement(input), wide = getAccumulator(element);
  Value powers = t.map(input, wide, [&](TensorBuilder &inner, ValueRange v) {
    return absolutePower(inner, inner.convert(v[0], wide), p);
  });
  Value sum = t.reduce(powers, *dims, Reduction::Sum, /*keep=*/true);
  l.set(op.getY(), t.map(sum, element, [&](TensorBuilder &inner, ValueRange v) {
    return inner.convert(rootOf(inner, v[0], p), element);
  }));
  return success();
}

} // namespace

void moe::addPoolingLowerings(LoweringTable &table) {
  table.add(lowerMaxPool);
  table.add(lowerMaxUnpool);
  table.add(lowerAveragePool);
  table.add(lowerLpPool);
  table.add(lowerGlobalMaxPool);
  table.add(lowerGlobalAveragePool);
  table.add(lowerGlobalLpPool);
}
