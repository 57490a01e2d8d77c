//===- Random.cpp - lowering of random numbers --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Each number is a hash of its place and of the seed, so that it depends
// neither on threads nor on the run. A node without seed has one of its own,
// made of its name.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Lowering.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include "llvm/Support/MathExtras.h"
#include "llvm/Support/xxhash.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Computes a number from a source of numbers in [0, 1).
using Distribution =
    function_ref<Value(TensorBuilder &, function_ref<Value(int64_t)> draw)>;

uint64_t getSeed(Operation *op, std::optional<APFloat> seed) {
  if (seed)
    return llvm::bit_cast<uint64_t>(seed->convertToDouble());
  auto name = dyn_cast<NameLoc>(op->getLoc());
  return llvm::xxh3_64bits(name ? name.getName().getValue() : StringRef());
}

/// Number `stream` of those that belong to element `place`: steps of an odd
/// constant, whose bits are then mixed.
Value draw(TensorBuilder &b, Value place, int64_t stream, uint64_t seed) {
  Type i64 = b.builder.getI64Type(), f32 = b.builder.getF32Type();
  auto number = [&](uint64_t bits) -> Value {
    return arith::ConstantOp::create(
        b.builder, b.loc, b.builder.getIntegerAttr(i64, APInt(64, bits)));
  };
  auto fold = [&](Value x, uint64_t shift) -> Value {
    Value high = arith::ShRUIOp::create(b.builder, b.loc, x, number(shift));
    return arith::XOrIOp::create(b.builder, b.loc, x, high);
  };
  Value count =
      b.add(b.mul(b.convert(place, i64), number(2)), number(uint64_t(stream)));
  Value x = b.add(b.mul(b.add(count, number(1)), number(0x9e3779b97f4a7c15)),
                  number(seed));
  x = b.mul(fold(x, 30), number(0xbf58476d1ce4e5b9));
  x = b.mul(fold(x, 27), number(0x94d049bb133111eb));
  x = fold(x, 31);
  // 24 bits are exact in f32.
  Value top = arith::ShRUIOp::create(b.builder, b.loc, x, number(40));
  return b.mul(b.convert(top, f32), b.constant(f32, 1.0 / (1 << 24)));
}

/// The number of the element at `at`.
Value getPlace(TensorBuilder &b, ValueRange at, ArrayRef<OpFoldResult> sizes) {
  Value place = b.index(0);
  for (auto [index, size] : llvm::zip_equal(at, sizes))
    place = b.add(b.mul(place, b.index(size)), index);
  return place;
}

void setRandom(Lowering &l, Value result, ArrayRef<OpFoldResult> sizes,
               uint64_t seed, Distribution distribution) {
  TensorBuilder &t = l.tensors;
  Type element = Lowering::getType(result).getElementType();
  l.set(result,
        t.generate(sizes, element, [&](TensorBuilder &b, ValueRange at) {
          Value place = getPlace(b, at, sizes);
          auto source = [&](int64_t stream) {
            return draw(b, place, stream, seed);
          };
          return b.convert(distribution(b, source), element);
        }));
}

template <typename Op>
void setUniform(Op op, Lowering &l, ArrayRef<OpFoldResult> sizes) {
  double low = op.getLow().convertToDouble();
  double high = op.getHigh().convertToDouble();
  setRandom(l, op.getOutput(), sizes, getSeed(op, op.getSeed()),
            [&](TensorBuilder &b, function_ref<Value(int64_t)> draw) {
              Type f32 = b.builder.getF32Type();
              return b.add(b.constant(f32, low),
                           b.mul(draw(0), b.constant(f32, high - low)));
            });
}

/// Box and Muller's transform of two uniform numbers.
template <typename Op>
void setNormal(Op op, Lowering &l, ArrayRef<OpFoldResult> sizes) {
  double mean = op.getMean().convertToDouble();
  double scale = op.getScale().convertToDouble();
  setRandom(
      l, op.getOutput(), sizes, getSeed(op, op.getSeed()),
      [&](TensorBuilder &b, function_ref<Value(int64_t)> draw) {
        Type f32 = b.builder.getF32Type();
        auto number = [&](double x) { return b.constant(f32, x); };
        // In (0, 1], whose logarithm is finite.
        Value first = b.sub(number(1), draw(0));
        Value log = math::LogOp::create(b.builder, b.loc, first);
        Value radius =
            math::SqrtOp::create(b.builder, b.loc, b.mul(number(-2), log));
        Value turn = math::CosOp::create(
            b.builder, b.loc, b.mul(number(2 * llvm::numbers::pi), draw(1)));
        return b.add(number(mean), b.mul(number(scale), b.mul(radius, turn)));
      });
}

template <typename Op> FailureOr<Sizes> getShape(Op op, Lowering &l) {
  Sizes sizes;
  for (int64_t extent : op.getShape()) {
    if (extent < 0)
      return l.error() << "expected extents that are not negative, got "
                       << extent;
    sizes.push_back(l.tensors.builder.getIndexAttr(extent));
  }
  return sizes;
}

LogicalResult lowerRandomUniform(onnx::RandomUniformOp op, Lowering &l) {
  FailureOr<Sizes> sizes = getShape(op, l);
  if (failed(sizes))
    return failure();
  setUniform(op, l, *sizes);
  return success();
}

LogicalResult lowerRandomNormal(onnx::RandomNormalOp op, Lowering &l) {
  FailureOr<Sizes> sizes = getShape(op, l);
  if (failed(sizes))
    return failure();
  setNormal(op, l, *sizes);
  return success();
}

LogicalResult lowerRandomUniformLike(onnx::RandomUniformLikeOp op,
                                     Lowering &l) {
  setUniform(op, l, l.tensors.sizes(l.get(op.getInput())));
  return success();
}

LogicalResult lowerRandomNormalLike(onnx::RandomNormalLikeOp op, Lowering &l) {
  setNormal(op, l, l.tensors.sizes(l.get(op.getInput())));
  return success();
}

/// In training, an element is zero with probability `ratio`, and the others
/// grow so that the expectation stays. Else nothing is dropped.
LogicalResult lowerDropout(onnx::DropoutOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value data = l.get(op.getData());
  Sizes sizes = t.sizes(data);
  Type i1 = t.builder.getI1Type(), f32 = t.builder.getF32Type();
  bool mayTrain = Lowering::has(op.getTrainingMode()) &&
                  Lowering::getConstantNumber(op.getTrainingMode()) != 0.0;
  if (!mayTrain) {
    l.set(op.getOutput(), data);
    if (Lowering::has(op.getMask()))
      l.set(op.getMask(), t.fill(t.constant(i1, 1), sizes));
    return success();
  }
  auto readOnly = [&](Value original) {
    Value tensor = l.get(original);
    return t.extract(
        tensor,
        SmallVector<Value>(Lowering::getType(tensor).getRank(), t.index(0)));
  };
  Value trains = readOnly(op.getTrainingMode());
  Value ratio = Lowering::has(op.getRatio())
                    ? t.convert(readOnly(op.getRatio()), f32)
                    : t.constant(f32, 0.5);
  ratio = t.select(trains, ratio, t.constant(f32, 0));
  uint64_t seed = op.getSeed() ? static_cast<uint64_t>(*op.getSeed())
                               : getSeed(op, std::nullopt);
  Value mask = t.generate(sizes, i1, [&](TensorBuilder &b, ValueRange at) {
    Value number = draw(b, getPlace(b, at, sizes), 0, seed);
    return b.compare(arith::CmpIPredicate::sge, arith::CmpFPredicate::OGE,
                     number, ratio);
  });
  Type element = Lowering::getType(data).getElementType();
  l.set(op.getMask(), mask);
  l.set(op.getOutput(),
        t.map({data, mask}, element, [&](TensorBuilder &b, ValueRange v) {
          Value rest = b.sub(b.constant(f32, 1), ratio);
          Value kept = b.div(b.convert(v[0], getAccumulator(element)),
                             b.convert(rest, getAccumulator(element)));
          return b.select(v[1], b.convert(kept, element),
                          b.constant(element, 0));
        }));
  return success();
}

} // namespace

void moe::addRandomLowerings(LoweringTable &table) {
  table.add(lowerDropout);
  table.add(lowerRandomUniform);
  table.add(lowerRandomNormal);
  table.add(lowerRandomUniformLike);
  table.add(lowerRandomNormalLike);
}
