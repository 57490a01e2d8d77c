//===- Resize.cpp - lowering of Resize ------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Interpolation is separable: for each resized dimension, a table says which
// elements of the input make an element of the output (`nearest`), or which of
// them with which weights (`linear`, `cubic`). Coordinates are computed in f64,
// once for each place along a dimension.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Indexing.h"

#include "mlir/Dialect/Math/IR/Math.h"

using namespace mlir;
using namespace mlir::moe;

namespace {

/// One resized dimension; numbers are f64.
struct ResizedDim {
  explicit ResizedDim(int64_t dim) : dim(dim) {}

  int64_t dim;
  OpFoldResult from, to; ///< Extents.
  Value fromLength, toLength, scale;
  Value roiStart, roiEnd; ///< For `tf_crop_and_resize`.
};

/// A table for the places along a dimension of the output.
struct Taps {
  Value indices; ///< place x tap, of i64, within the input.
  Value weights; ///< place x tap.
};

class ResizeBuilder {
public:
  ResizeBuilder(onnx::ResizeOp op, Lowering &l)
      : op(op), l(l), t(l.tensors), f64(t.builder.getF64Type()),
        transformation(op.getCoordinateTransformationMode()) {}

  LogicalResult build() {
    if (failed(checkAttributes()))
      return failure();
    data = l.get(op.getX());
    type = Lowering::getType(data);
    if (failed(readAxes()) || failed(readExtents()))
      return failure();
    for (const ResizedDim &dim : dims)
      checkNotEmpty(dim);
    Value result = op.getMode() == "nearest" ? pick() : interpolate();
    if (transformation == "tf_crop_and_resize")
      result = markOutside(result);
    l.set(op.getY(), result);
    return success();
  }

private:
  LogicalResult checkAttributes() {
    auto check = [&](StringRef name, StringRef got,
                     ArrayRef<StringRef> known) -> LogicalResult {
      if (llvm::is_contained(known, got))
        return success();
      return l.error() << "expected '" << name << "' "
                       << llvm::join(known, ", ") << ", got '" << got << "'";
    };
    return success(
        succeeded(
            check("mode", op.getMode(), {"nearest", "linear", "cubic"})) &&
        succeeded(
            check("coordinate_transformation_mode", transformation,
                  {"half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",
                   "align_corners", "asymmetric", "tf_crop_and_resize"})) &&
        succeeded(check(
            "nearest_mode", op.getNearestMode(),
            {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"})) &&
        succeeded(check("keep_aspect_ratio_policy",
                        op.getKeepAspectRatioPolicy(),
                        {"stretch", "not_larger", "not_smaller"})));
  }

  LogicalResult readAxes() {
    if (std::optional<ArrayRef<int64_t>> given = op.getAxes()) {
      for (int64_t axis : *given) {
        FailureOr<int64_t> dim = l.getAxis(axis, type.getRank());
        if (failed(dim))
          return failure();
        dims.emplace_back(*dim);
      }
      return success();
    }
    for (int64_t i = 0; i < type.getRank(); ++i)
      dims.emplace_back(i);
    return success();
  }

  /// Whether an optional operand is there and not an empty vector.
  static bool isGiven(Value value) {
    if (!Lowering::has(value))
      return false;
    RankedTensorType type = Lowering::getType(value);
    return !type.hasStaticShape() || type.getNumElements() > 0;
  }

  /// Checks that `operand` is a vector with `each` numbers for a dimension.
  LogicalResult checkLength(Value operand, StringRef what, int64_t each) {
    RankedTensorType operandType = Lowering::getType(operand);
    int64_t count = each * int64_t(dims.size());
    if (operandType.getRank() != 1 ||
        (!operandType.isDynamicDim(0) && operandType.getDimSize(0) != count))
      return l.error() << "expected " << count << " elements of '" << what
                       << "', got " << operandType;
    if (operandType.isDynamicDim(0))
      t.checkEqual(t.size(l.get(operand), 0), t.builder.getIndexAttr(count),
                   "an operand of Resize has another length than expected");
    return success();
  }

  Value readNumber(Value operand, int64_t i) {
    return t.convert(t.extract(l.get(operand), t.index(i)), f64);
  }

  Value number(TensorBuilder &b, double value) {
    return b.constant(f64, value);
  }

  Value toNumber(TensorBuilder &b, OpFoldResult extent) {
    return b.convert(b.index(extent), f64);
  }

  LogicalResult readExtents() {
    bool hasScales = isGiven(op.getScales());
    if (hasScales == isGiven(op.getSizes()))
      return l.error() << "expected either 'scales' or 'sizes'";
    if (hasScales && failed(checkLength(op.getScales(), "scales", 1)))
      return failure();
    bool crops = transformation == "tf_crop_and_resize";
    if (crops &&
        (!isGiven(op.getRoi()) || failed(checkLength(op.getRoi(), "roi", 2))))
      return l.error() << "expected 'roi' with 'tf_crop_and_resize'";
    FailureOr<Sizes> wanted = Sizes();
    if (!hasScales)
      wanted = l.getElements(op.getSizes(), dims.size());
    if (failed(wanted))
      return failure();
    sizes = t.sizes(data);
    for (auto [i, dim] : llvm::enumerate(dims)) {
      dim.from = sizes[dim.dim];
      dim.fromLength = toNumber(t, dim.from);
      if (hasScales) {
        dim.scale = readNumber(op.getScales(), i);
        dim.to = toExtent(t.mul(dim.scale, dim.fromLength));
      } else {
        dim.to = (*wanted)[i];
        dim.scale = t.div(toNumber(t, dim.to), dim.fromLength);
      }
      if (crops) {
        dim.roiStart = readNumber(op.getRoi(), i);
        dim.roiEnd = readNumber(op.getRoi(), i + dims.size());
      }
    }
    if (!hasScales && op.getKeepAspectRatioPolicy() != "stretch")
      keepAspectRatio();
    for (ResizedDim &dim : dims)
      sizes[dim.dim] = dim.to;
    sizes = l.refine(op.getY(), sizes);
    for (ResizedDim &dim : dims) {
      dim.to = sizes[dim.dim];
      dim.toLength = toNumber(t, dim.to);
    }
    return success();
  }

  /// A number that is not negative, cut to an integer.
  OpFoldResult toExtent(Value value) {
    Value bounded = clamp(t, value, 0.0, double(int64_t(1) << 40));
    return t.convert(bounded, t.builder.getIndexType());
  }

  /// One scale for all dimensions.
  void keepAspectRatio() {
    bool least = op.getKeepAspectRatioPolicy() == "not_larger";
    Value scale = dims.front().scale;
    for (const ResizedDim &dim : ArrayRef(dims).drop_front())
      scale = least ? t.min(scale, dim.scale) : t.max(scale, dim.scale);
    for (ResizedDim &dim : dims) {
      dim.scale = scale;
      dim.to = toExtent(t.add(t.mul(scale, dim.fromLength), number(t, 0.5)));
    }
  }

  void checkNotEmpty(const ResizedDim &dim) {
    std::optional<int64_t> known = getConstantIntValue(dim.from);
    if (known && *known > 0)
      return;
    Value isEmpty =
        compareIndex(t, arith::CmpIPredicate::eq, t.index(dim.to), t.index(0));
    Value hasElements = compareIndex(t, arith::CmpIPredicate::sgt,
                                     t.index(dim.from), t.index(0));
    t.check(arith::OrIOp::create(t.builder, t.loc, isEmpty, hasElements),
            "Resize: an empty dimension cannot grow");
  }

  /// `x` within [low, high]; not NaN.
  static Value clamp(TensorBuilder &b, Value x, double low, double high) {
    Value above = arith::MaxNumFOp::create(b.builder, b.loc, x,
                                           b.constant(x.getType(), low));
    return arith::MinNumFOp::create(b.builder, b.loc, above,
                                    b.constant(x.getType(), high));
  }

  /// Where place `i` of the output lies in the input.
  Value getCoordinate(TensorBuilder &b, const ResizedDim &dim, Value i) {
    Value x = b.convert(i, f64);
    Value half = number(b, 0.5), one = number(b, 1.0);
    Value length = b.mul(dim.scale, dim.fromLength);
    auto ifSingle = [&](Value yes, Value no) {
      Value isOne = b.compare(arith::CmpIPredicate::eq,
                              arith::CmpFPredicate::OEQ, length, one);
      return b.select(isOne, yes, no);
    };
    auto last = [&](Value extent) { return b.sub(extent, one); };
    Value centered = b.sub(b.div(b.add(x, half), dim.scale), half);
    if (transformation == "half_pixel")
      return centered;
    if (transformation == "asymmetric")
      return b.div(x, dim.scale);
    if (transformation == "align_corners")
      return ifSingle(number(b, 0.0),
                      b.div(b.mul(x, last(dim.fromLength)), last(length)));
    if (transformation == "pytorch_half_pixel")
      return ifSingle(number(b, -0.5), centered);
    if (transformation == "half_pixel_symmetric") {
      // The centres of input and output meet.
      Value rest = b.sub(one, b.div(dim.toLength, length));
      return b.add(b.mul(b.mul(dim.fromLength, half), rest), centered);
    }
    Value width = b.mul(b.sub(dim.roiEnd, dim.roiStart), last(dim.fromLength));
    Value offset =
        ifSingle(b.mul(width, half), b.div(b.mul(x, width), last(length)));
    return b.add(offset, b.mul(dim.roiStart, last(dim.fromLength)));
  }

  /// An integer as a position within the input.
  Value toPosition(TensorBuilder &b, const ResizedDim &dim, Value x) {
    double bound = double(int64_t(1) << 40);
    Value index =
        b.convert(clamp(b, x, -bound, bound), b.builder.getIndexType());
    return b.max(b.min(index, b.sub(b.index(dim.from), b.index(1))),
                 b.index(0));
  }

  //===--------------------------------------------------------------------===//
  // nearest
  //===--------------------------------------------------------------------===//

  Value round(TensorBuilder &b, Value x) {
    StringRef mode = op.getNearestMode();
    if (mode == "round_prefer_floor")
      x = b.sub(x, number(b, 0.5));
    if (mode == "round_prefer_ceil")
      x = b.add(x, number(b, 0.5));
    if (mode == "ceil" || mode == "round_prefer_floor")
      return math::CeilOp::create(b.builder, b.loc, x);
    return math::FloorOp::create(b.builder, b.loc, x);
  }

  Value pick() {
    SmallVector<Value> tables(type.getRank());
    for (const ResizedDim &dim : dims)
      tables[dim.dim] = t.generate(
          dim.to, t.builder.getI64Type(), [&](TensorBuilder &b, ValueRange at) {
            Value x = round(b, getCoordinate(b, dim, at[0]));
            return b.convert(toPosition(b, dim, x), b.builder.getI64Type());
          });
    return t.generate(
        sizes, type.getElementType(), [&](TensorBuilder &b, ValueRange at) {
          SmallVector<Value> source(at);
          for (auto [place, table] : llvm::zip(source, tables))
            if (table)
              place =
                  b.convert(b.extract(table, place), b.builder.getIndexType());
          return b.extract(data, source);
        });
  }

  //===--------------------------------------------------------------------===//
  // linear and cubic
  //===--------------------------------------------------------------------===//

  /// The weight of an element at a distance from the coordinate.
  Value getWeight(TensorBuilder &b, Value distance) {
    Value x = math::AbsFOp::create(b.builder, b.loc, distance);
    Value zero = number(b, 0.0), one = number(b, 1.0);
    if (op.getMode() == "linear")
      return b.max(b.sub(one, x), zero);
    double a = op.getCubicCoeffA().convertToDouble();
    auto polynomial = [&](double c3, double c2, double c1, double c0) {
      Value sum = number(b, c3);
      for (double c : {c2, c1, c0})
        sum = b.add(b.mul(sum, x), number(b, c));
      return sum;
    };
    auto isUpTo = [&](double bound) {
      return b.compare(arith::CmpIPredicate::sle, arith::CmpFPredicate::OLE, x,
                       number(b, bound));
    };
    Value near = polynomial(a + 2, -(a + 3), 0, 1);
    Value far = polynomial(a, -5 * a, 8 * a, -4 * a);
    return b.select(isUpTo(1), near, b.select(isUpTo(2), far, zero));
  }

  Taps buildTaps(const ResizedDim &dim, Type wide) {
    double support = op.getMode() == "linear" ? 1 : 2;
    // Antialiasing stretches the kernel over what shrinks to one place.
    Value shrink = number(t, 1.0);
    Value first = number(t, 1 - support);
    OpFoldResult count = t.builder.getIndexAttr(2 * int64_t(support));
    if (op.getAntialias()) {
      shrink = t.min(shrink, dim.scale);
      Value reach = math::FloorOp::create(t.builder, t.loc,
                                          t.div(number(t, -support), shrink));
      first = t.add(clamp(t, reach, -double(1 << 24), -1), number(t, 1));
      count = t.convert(t.sub(number(t, 2), t.mul(number(t, 2), first)),
                        t.builder.getIndexType());
    }
    // The element left of the coordinate; below it even if it is an integer.
    auto getLeft = [&](TensorBuilder &b, Value x) {
      return b.sub(math::CeilOp::create(b.builder, b.loc, x), number(b, 1));
    };
    Type i64 = t.builder.getI64Type();
    Taps taps;
    taps.indices =
        t.generate({dim.to, count}, i64, [&](TensorBuilder &b, ValueRange at) {
          Value left = getLeft(b, getCoordinate(b, dim, at[0]));
          Value place = b.add(b.add(left, first), b.convert(at[1], f64));
          return b.convert(toPosition(b, dim, place), i64);
        });
    bool exclude = op.getExcludeOutside();
    taps.weights =
        t.generate({dim.to, count}, f64, [&](TensorBuilder &b, ValueRange at) {
          Value x = getCoordinate(b, dim, at[0]);
          Value place =
              b.add(b.add(getLeft(b, x), first), b.convert(at[1], f64));
          Value weight = getWeight(b, b.mul(b.sub(place, x), shrink));
          if (!exclude)
            return weight;
          auto compare = [&](arith::CmpFPredicate predicate, Value bound) {
            return b.compare(arith::CmpIPredicate::eq, predicate, place, bound);
          };
          Value inside =
              andAll(b, {compare(arith::CmpFPredicate::OGE, number(b, 0)),
                         compare(arith::CmpFPredicate::OLT, dim.fromLength)});
          return b.select(inside, weight, number(b, 0));
        });
    if (exclude || op.getAntialias()) {
      Value sum = t.reduce(taps.weights, 1, Reduction::Sum, /*keep=*/true);
      taps.weights =
          t.map({taps.weights, sum}, f64, [&](TensorBuilder &b, ValueRange v) {
            Value isZero =
                b.compare(arith::CmpIPredicate::eq, arith::CmpFPredicate::OEQ,
                          v[1], number(b, 0));
            return b.select(isZero, v[0], b.div(v[0], v[1]));
          });
    }
    taps.weights = t.cast(taps.weights, wide);
    return taps;
  }

  /// Sums over the taps of one dimension.
  Value applyTaps(Value input, const ResizedDim &dim, const Taps &taps) {
    Type wide = Lowering::getType(taps.weights).getElementType();
    Sizes extents = t.sizes(input);
    extents[dim.dim] = dim.to;
    int64_t rank = extents.size();
    AffineMap table = AffineMap::get(
        rank + 1, 0,
        {t.builder.getAffineDimExpr(dim.dim), t.builder.getAffineDimExpr(rank)},
        t.builder.getContext());
    AffineMap target =
        t.builder.getMultiDimIdentityMap(rank + 1).dropResult(rank);
    SmallVector<utils::IteratorType> iterators(rank + 1,
                                               utils::IteratorType::parallel);
    iterators.back() = utils::IteratorType::reduction;
    Value start = t.fill(t.constant(wide, 0), extents);
    return linalg::GenericOp::create(
               t.builder, t.loc, start.getType(),
               ValueRange{taps.indices, taps.weights}, start,
               ArrayRef<AffineMap>{table, table, target}, iterators,
               [&](OpBuilder &nested, Location loc, ValueRange v) {
                 TensorBuilder b(nested, loc);
                 SmallVector<Value> source;
                 for (int64_t i = 0; i < rank; ++i)
                   source.push_back(
                       i == dim.dim ? b.convert(v[0], nested.getIndexType())
                                    : linalg::IndexOp::create(nested, loc, i));
                 Value element = b.convert(b.extract(input, source), wide);
                 linalg::YieldOp::create(nested, loc,
                                         b.add(v[2], b.mul(element, v[1])));
               })
        .getResult(0);
  }

  Value interpolate() {
    Type element = type.getElementType();
    Type wide = isa<FloatType>(element) ? getAccumulator(element)
                                        : Type(t.builder.getF32Type());
    Value result = data;
    for (const ResizedDim &dim : dims) {
      bool isKept = transformation != "tf_crop_and_resize" &&
                    dim.from == dim.to && getConstantIntValue(dim.to);
      if (!isKept || !isIdentity(dim))
        result = applyTaps(result, dim, buildTaps(dim, wide));
    }
    if (isa<FloatType>(element))
      return t.cast(result, element);
    bool isUnsigned = Lowering::isUnsigned(op.getX());
    return t.map(result, element, [&](TensorBuilder &b, ValueRange v) {
      Value rounded = math::RoundEvenOp::create(b.builder, b.loc, v[0]);
      return b.convert(rounded, element, false, isUnsigned);
    });
  }

  /// Whether a dimension of unchanged extent is copied: with `sizes` always,
  /// with `scales` if its scale is known to be 1.
  bool isIdentity(const ResizedDim &dim) {
    if (!isGiven(op.getScales()))
      return true;
    auto constant = op.getScales().getDefiningOp<onnx::ConstantOp>();
    auto numbers = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                            : DenseElementsAttr();
    if (!numbers)
      return false;
    size_t i = &dim - dims.data();
    return (*(numbers.value_begin<APFloat>() + i)).convertToDouble() == 1.0;
  }

  /// `extrapolation_value` where a coordinate is outside the input.
  Value markOutside(Value result) {
    SmallVector<Value> tables(type.getRank());
    for (const ResizedDim &dim : dims)
      tables[dim.dim] = t.generate(
          dim.to, t.builder.getI1Type(), [&](TensorBuilder &b, ValueRange at) {
            Value x = getCoordinate(b, dim, at[0]);
            Value last = b.sub(dim.fromLength, number(b, 1));
            Value below = b.compare(arith::CmpIPredicate::eq,
                                    arith::CmpFPredicate::OLT, x, number(b, 0));
            Value above = b.compare(arith::CmpIPredicate::eq,
                                    arith::CmpFPredicate::OGT, x, last);
            return arith::OrIOp::create(b.builder, b.loc, below, above)
                .getResult();
          });
    Type element = type.getElementType();
    double outside = op.getExtrapolationValue().convertToDouble();
    return t.map(result, element, [&](TensorBuilder &b, ValueRange v) {
      Value chosen = v[0], fill = b.constant(element, outside);
      for (auto [dim, table] : llvm::enumerate(tables)) {
        if (!table)
          continue;
        Value place = linalg::IndexOp::create(b.builder, b.loc, dim);
        chosen = b.select(b.extract(table, place), fill, chosen);
      }
      return chosen;
    });
  }

  onnx::ResizeOp op;
  Lowering &l;
  TensorBuilder &t;
  Type f64;
  StringRef transformation;
  Value data;
  RankedTensorType type;
  SmallVector<ResizedDim> dims;
  Sizes sizes; ///< Of the output.
};

LogicalResult lowerResize(onnx::ResizeOp op, Lowering &l) {
  return ResizeBuilder(op, l).build();
}

} // namespace

void moe::addResizeLowering(LoweringTable &table) { table.add(lowerResize); }
