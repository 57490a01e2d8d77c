//===- Signal.cpp - lowering of Fourier transforms and filters ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A discrete Fourier transform is evaluated as it is defined, in f64, from a
// table of the roots of unity.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"
#include "passes/convert/lower/RuntimeAxes.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

Type getElement(Value tensor) {
  return Lowering::getType(tensor).getElementType();
}

/// What is computed of a transform of a given length.
struct Transform {
  OpFoldResult length;
  bool inverse = false, onesided = false;
};

OpFoldResult halve(TensorBuilder &t, OpFoldResult length) {
  return t.addSizes(t.divSizes(length, t.builder.getIndexAttr(2)),
                    t.builder.getIndexAttr(1));
}

/// Component `which` of complex numbers: outer x length x inner.
Value takeComponent(TensorBuilder &t, Value signal, int64_t which,
                    OpFoldResult count) {
  Value part = t.slice(signal, 3, t.builder.getIndexAttr(which),
                       t.builder.getIndexAttr(1));
  return t.slice(t.dropUnit(part, 3), 1, t.builder.getIndexAttr(0), count);
}

/// The transform along dimension 1 of `signal`, outer x length x inner x
/// component. A signal longer than the transform is cut, a shorter one is
/// followed by zeros.
Value transform(TensorBuilder &t, Value signal, const Transform &kind) {
  // The terms cancel where a bin is empty.
  Type element = getElement(signal), wide = t.builder.getF64Type();
  bool isComplex = Lowering::getType(signal).getShape().back() == 2;
  bool toReal = kind.inverse && kind.onesided;
  OpFoldResult bins = toReal ? halve(t, kind.length) : kind.length;
  OpFoldResult places =
      kind.onesided && !kind.inverse ? halve(t, kind.length) : kind.length;
  Value length = t.index(kind.length), count = t.index(t.size(signal, 1));
  OpFoldResult used = t.min(count, t.index(bins));
  Value real = takeComponent(t, signal, 0, used);
  Value imaginary = isComplex ? takeComponent(t, signal, 1, used) : Value();

  // cos and sin of the turns i / length.
  auto buildTable = [&](bool isSine) {
    return t.generate(
        {kind.length}, wide, [&](TensorBuilder &b, ValueRange at) {
          double turn = (kind.inverse ? 2.0 : -2.0) * llvm::numbers::pi;
          Value angle =
              b.div(b.mul(b.constant(wide, turn), b.convert(at[0], wide)),
                    b.convert(length, wide));
          Value x =
              isSine ? math::SinOp::create(b.builder, b.loc, angle).getResult()
                     : math::CosOp::create(b.builder, b.loc, angle).getResult();
          return b.convert(x, wide);
        });
  };
  Value cosines = buildTable(false), sines = buildTable(true);

  MLIRContext *context = t.builder.getContext();
  auto dims = [&](ArrayRef<unsigned> list) {
    SmallVector<AffineExpr> expressions;
    for (unsigned dim : list)
      expressions.push_back(getAffineDimExpr(dim, context));
    return AffineMap::get(4, 0, expressions, context);
  };
  // Outer, place, inner, bin.
  AffineMap source = dims({0, 3, 2}), target = dims({0, 1, 2});
  SmallVector<Value> inputs = {real};
  SmallVector<AffineMap> maps = {source};
  if (isComplex) {
    inputs.push_back(imaginary);
    maps.push_back(source);
  }
  Sizes sizes = {t.size(real, 0), places, t.size(real, 2)};
  Value zero = t.fill(t.constant(wide, 0), sizes);
  maps.append({target, target});
  SmallVector<utils::IteratorType> iterators(4, utils::IteratorType::parallel);
  iterators.back() = utils::IteratorType::reduction;
  auto sums = linalg::GenericOp::create(
      t.builder, t.loc, TypeRange{zero.getType(), zero.getType()}, inputs,
      ValueRange{zero, zero}, maps, iterators,
      [&](OpBuilder &nested, Location loc, ValueRange v) {
        TensorBuilder b(nested, loc);
        Value place = linalg::IndexOp::create(nested, loc, 1);
        Value bin = linalg::IndexOp::create(nested, loc, 3);
        Value turn = arith::RemUIOp::create(nested, loc, b.mul(place, bin),
                                            b.max(length, b.index(1)));
        Value c = b.extract(cosines, turn), s = b.extract(sines, turn);
        Value x = b.convert(v[0], wide);
        if (toReal) {
          // The bins that are left out are the conjugates of the others.
          Value twice = b.add(bin, bin), two = b.constant(wide, 2);
          auto equals = [&](Value other) {
            return compareIndex(b, arith::CmpIPredicate::eq, twice, other);
          };
          Value isAlone = arith::OrIOp::create(nested, loc, equals(b.index(0)),
                                               equals(length));
          Value weight = b.select(isAlone, b.constant(wide, 1), two);
          c = b.mul(c, weight);
          s = b.mul(s, weight);
        }
        Value re = b.mul(x, c), im = b.mul(x, s);
        if (isComplex) {
          Value y = b.convert(v[1], wide);
          re = b.sub(re, b.mul(y, s));
          im = b.add(im, b.mul(y, c));
        }
        unsigned first = isComplex ? 2 : 1;
        linalg::YieldOp::create(
            nested, loc,
            ValueRange{b.add(v[first], re), b.add(v[first + 1], im)});
      });
  Value divisor = t.convert(t.max(length, t.index(1)), wide);
  auto finish = [&](Value sum) {
    Value result = t.map(sum, element, [&](TensorBuilder &b, ValueRange v) {
      return b.convert(kind.inverse ? b.div(v[0], divisor) : Value(v[0]),
                       element);
    });
    return t.insertUnit(result, 3);
  };
  Value re = finish(sums.getResult(0));
  return toReal ? re : t.concat({re, finish(sums.getResult(1))}, 3);
}

LogicalResult checkComponents(Lowering &l, RankedTensorType type,
                              int64_t least) {
  int64_t last = type.getRank() >= least ? type.getShape().back() : 0;
  if (last != 1 && last != 2)
    return l.error() << "expected an input of rank " << least
                     << " or higher whose last dimension is 1 or 2, got "
                     << type;
  return success();
}

/// The one element of an integer tensor.
FailureOr<OpFoldResult> getInteger(Lowering &l, Value original,
                                   StringRef what) {
  FailureOr<Sizes> elements = l.getElements(original);
  if (failed(elements))
    return failure();
  if (elements->size() != 1)
    return l.error() << "expected one number '" << what << "', got "
                     << elements->size();
  return elements->front();
}

/// Ends the run unless `number` is positive.
LogicalResult checkPositive(Lowering &l, OpFoldResult number, StringRef what) {
  std::optional<int64_t> known = getConstantIntValue(number);
  if (known && *known < 1)
    return l.error() << "expected a positive '" << what << "', got " << *known;
  TensorBuilder &t = l.tensors;
  if (!known)
    t.check(
        compareIndex(t, arith::CmpIPredicate::sgt, t.index(number), t.index(0)),
        "expected a positive number '" + what + "'");
  return success();
}

LogicalResult lowerDFT(onnx::DFTOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  RankedTensorType type = Lowering::getType(input);
  if (failed(checkComponents(l, type, 2)))
    return failure();
  OpFoldResult axis = t.builder.getIndexAttr(type.getRank() - 2);
  if (Lowering::has(op.getAxis())) {
    FailureOr<OpFoldResult> given = readAxis(l, op.getAxis(), type.getRank());
    if (failed(given))
      return failure();
    axis = *given;
  }
  Transform kind{OpFoldResult(), op.getInverse() != 0, op.getOnesided() != 0};
  Sizes sizes = t.sizes(input);
  OpFoldResult extent = selectAt(t, sizes, axis);
  bool toReal = kind.inverse && kind.onesided;
  if (Lowering::has(op.getDftLength())) {
    FailureOr<OpFoldResult> length =
        getInteger(l, op.getDftLength(), "dft_length");
    if (failed(length))
      return failure();
    kind.length = *length;
  } else {
    kind.length =
        toReal ? t.mulSizes(t.subSizes(extent, t.builder.getIndexAttr(1)),
                            t.builder.getIndexAttr(2))
               : extent;
  }
  if (failed(checkPositive(l, kind.length, "dft_length")))
    return failure();
  // Outer x length x inner x component.
  int64_t last = type.getRank() - 1;
  auto isBefore = [&](bool before) {
    OpFoldResult product = t.builder.getIndexAttr(1);
    for (int64_t i = 0; i < last; ++i)
      product =
          t.mulSizes(product, selectIf(t, i, axis,
                                       before ? arith::CmpIPredicate::slt
                                              : arith::CmpIPredicate::sgt,
                                       sizes[i], t.builder.getIndexAttr(1)));
    return product;
  };
  Value view =
      t.reshape(input, {isBefore(true), extent, isBefore(false), sizes[last]});
  Value result = transform(t, view, kind);
  replaceAt(t, sizes, axis, t.size(result, 1));
  sizes[last] = t.size(result, 3);
  l.set(op.getOutput(), t.reshape(result, sizes));
  return success();
}

LogicalResult lowerSTFT(onnx::STFTOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value signal = l.get(op.getSignal());
  RankedTensorType type = Lowering::getType(signal);
  // The signal may lack the dimension of the components.
  if (type.getRank() == 2) {
    signal = t.insertUnit(signal, 2);
    type = Lowering::getType(signal);
  }
  if (type.getRank() != 3 || failed(checkComponents(l, type, 3)))
    return l.error() << "expected a signal of rank 3, got "
                     << Lowering::getType(op.getSignal());
  FailureOr<OpFoldResult> step = getInteger(l, op.getFrameStep(), "frame_step");
  if (failed(step) || failed(checkPositive(l, *step, "frame_step")))
    return failure();
  Value window = l.get(op.getWindow());
  if (window && Lowering::getType(window).getRank() != 1)
    return l.error() << "expected a window of rank 1, got "
                     << Lowering::getType(op.getWindow());
  OpFoldResult length = t.size(signal, 1);
  if (window)
    length = t.size(window, 0);
  if (Lowering::has(op.getFrameLength())) {
    FailureOr<OpFoldResult> given =
        getInteger(l, op.getFrameLength(), "frame_length");
    if (failed(given))
      return failure();
    if (window)
      t.checkEqual(*given, length,
                   "STFT: the window is not as long as a frame");
    else
      length = *given;
  }
  if (failed(checkPositive(l, length, "frame_length")))
    return failure();
  OpFoldResult room = t.subSizes(t.size(signal, 1), length);
  t.check(compareIndex(t, arith::CmpIPredicate::sge, t.index(room), t.index(0)),
          "STFT: the signal is shorter than a frame");
  OpFoldResult count =
      t.addSizes(t.divSizes(room, *step), t.builder.getIndexAttr(1));
  Value stride = t.index(*step);
  Value frames =
      t.generate({t.size(signal, 0), count, length, t.size(signal, 2)},
                 getElement(signal), [&](TensorBuilder &b, ValueRange at) {
                   Value place = b.add(b.mul(at[1], stride), at[2]);
                   Value x = b.extract(signal, {at[0], place, at[3]});
                   return window ? b.mul(x, b.extract(window, at[2])) : x;
                 });
  Sizes sizes = t.sizes(frames);
  OpFoldResult one = t.builder.getIndexAttr(1);
  Value view = t.reshape(
      frames, {t.mulSizes(sizes[0], sizes[1]), length, one, sizes[3]});
  Value result =
      transform(t, view, {length, /*inverse=*/false, op.getOnesided() != 0});
  l.set(op.getOutput(),
        t.reshape(result, {sizes[0], sizes[1], t.size(result, 1),
                           t.builder.getIndexAttr(2)}));
  return success();
}

/// The filters of the mel scale are triangles between neighbouring mel
/// frequencies, rounded down to bins of the spectrum.
LogicalResult lowerMelWeightMatrix(onnx::MelWeightMatrixOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  FailureOr<OpFoldResult> count =
      getInteger(l, op.getNumMelBins(), "num_mel_bins");
  FailureOr<OpFoldResult> length =
      getInteger(l, op.getDftLength(), "dft_length");
  FailureOr<OpFoldResult> rate =
      getInteger(l, op.getSampleRate(), "sample_rate");
  if (failed(count) || failed(length) || failed(rate) ||
      failed(checkPositive(l, *count, "num_mel_bins")) ||
      failed(checkPositive(l, *length, "dft_length")))
    return failure();
  Type f64 = t.builder.getF64Type();
  auto number = [&](TensorBuilder &b, double value) {
    return b.constant(f64, value);
  };
  auto readHertz = [&](Value original) {
    Value tensor = l.get(original);
    SmallVector<Value> first(Lowering::getType(tensor).getRank(), t.index(0));
    return t.convert(t.extract(tensor, first), f64);
  };
  double perMel = 2595 / std::log(10.0);
  auto toMel = [&](Value hertz) {
    Value log =
        math::Log1pOp::create(t.builder, t.loc, t.div(hertz, number(t, 700)));
    return t.mul(log, number(t, perMel));
  };
  Value low = toMel(readHertz(op.getLowerEdgeHertz()));
  Value high = toMel(readHertz(op.getUpperEdgeHertz()));
  Value two = t.index(2);
  Value step =
      t.div(t.sub(high, low), t.convert(t.add(t.index(*count), two), f64));
  Value scale = t.div(t.convert(t.add(t.index(*length), t.index(1)), f64),
                      t.convert(t.index(*rate), f64));
  // The bin of mel frequency `i`, a number without fraction.
  auto getBin = [&](TensorBuilder &b, Value i) -> Value {
    Value mel = b.add(low, b.mul(b.convert(i, f64), step));
    Value power =
        math::ExpM1Op::create(b.builder, b.loc, b.div(mel, number(b, perMel)));
    Value hertz = b.mul(number(b, 700), power);
    return math::FloorOp::create(b.builder, b.loc, b.mul(hertz, scale));
  };
  Type element = getElementTypeOrSelf(getPlainType(op.getOutput().getType()));
  Sizes sizes = {halve(t, *length), *count};
  l.set(op.getOutput(),
        t.generate(sizes, element, [&](TensorBuilder &b, ValueRange at) {
          Value bin = b.convert(at[0], f64), one = b.index(1);
          Value left = getBin(b, at[1]);
          Value center = getBin(b, b.add(at[1], one));
          Value right = getBin(b, b.add(at[1], b.index(2)));
          auto compare = [&](arith::CmpFPredicate predicate, Value x, Value y) {
            return b.compare(arith::CmpIPredicate::eq, predicate, x, y);
          };
          Value rising = b.div(b.sub(bin, left), b.sub(center, left));
          Value falling = b.div(b.sub(right, bin), b.sub(right, center));
          Value isRising =
              andAll(b, {compare(arith::CmpFPredicate::OGE, bin, left),
                         compare(arith::CmpFPredicate::OLT, bin, center)});
          Value isFalling =
              andAll(b, {compare(arith::CmpFPredicate::OGT, bin, center),
                         compare(arith::CmpFPredicate::OLT, bin, right)});
          Value isPeak = compare(arith::CmpFPredicate::OEQ, bin, center);
          Value weight =
              b.select(isPeak, number(b, 1),
                       b.select(isRising, rising,
                                b.select(isFalling, falling, number(b, 0))));
          return b.convert(weight, element);
        }));
  return success();
}

} // namespace

void moe::addSignalLowerings(LoweringTable &table) {
  table.add(lowerDFT);
  table.add(lowerSTFT);
  table.add(lowerMelWeightMatrix);
}
