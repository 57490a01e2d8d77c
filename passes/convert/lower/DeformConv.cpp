//===- DeformConv.cpp - lowering of DeformConv and Col2Im ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Convolutions whose windows are gathered first, and what puts windows back.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/lower/Convolution.h"
#include "passes/convert/lower/Indexing.h"
#include "passes/convert/lower/Sampler.h"

using namespace mlir;
using namespace mlir::moe;

/// The code of one element grows with the number of pixels that it reads.
static constexpr int64_t kMaxSampledDims = 3;

namespace {

/// Row-major number of the place `at` among `extents`.
Value flatten(TensorBuilder &t, ValueRange at, ArrayRef<OpFoldResult> extents) {
  Value flat = t.index(0);
  for (auto [place, extent] : llvm::zip_equal(at, extents))
    flat = t.add(t.mul(flat, t.index(extent)), place);
  return flat;
}

class DeformConvBuilder {
public:
  DeformConvBuilder(onnx::DeformConvOp op, Lowering &l)
      : op(op), l(l), t(l.tensors) {}

  LogicalResult build() {
    Value input = l.get(op.getX()), weight = l.get(op.getW());
    RankedTensorType type = Lowering::getType(input);
    RankedTensorType weightType = Lowering::getType(weight);
    offsets = l.get(op.getOffset());
    mask = l.get(op.getMask());
    if (type.getRank() != weightType.getRank() ||
        type.getRank() != Lowering::getType(offsets).getRank() ||
        (mask && Lowering::getType(mask).getRank() != type.getRank()) ||
        type.getRank() > kMaxSampledDims + 2)
      return l.error() << "expected operands of equal rank, 3 to "
                       << kMaxSampledDims + 2 << ", got " << type << ", "
                       << weightType << " and "
                       << Lowering::getType(op.getOffset());
    FailureOr<Window> read =
        getWindow(l, type,
                  {weightType.getShape().drop_front(2), op.getStrides(),
                   op.getDilations(), op.getPads()});
    int64_t groups = op.getGroup();
    if (failed(read) ||
        failed(checkGroups(l, groups, weightType.getDimSize(0),
                           "a number of filters")) ||
        failed(checkChannels(l, input, weight, l.get(op.getB()), groups)) ||
        failed(checkGroups(l, groups, type.getDimSize(1),
                           "a number of channels")) ||
        failed(checkGroups(l, op.getOffsetGroup(), type.getDimSize(1),
                           "a number of channels")))
      return failure();
    window = *read;
    FailureOr<Sizes> places = countPlaces(l, input, window);
    if (failed(places) || failed(checkOffsets(input, *places)))
      return failure();
    Value columns = gather(input, *places);
    // What was gathered is a convolution whose windows do not overlap.
    Window apart;
    apart.kernel = window.kernel;
    apart.strides = window.kernel;
    apart.dilations.assign(window.getRank(), 1);
    apart.before.assign(window.getRank(), 0);
    apart.after = apart.before;
    l.set(op.getY(), contractWindows(t, columns, weight, l.get(op.getB()),
                                     apart, groups, *places));
    return success();
  }

private:
  /// Offsets and mask must have an entry for all that is read.
  LogicalResult checkOffsets(Value input, ArrayRef<OpFoldResult> places) {
    int64_t count = window.getRank(), taps = 1;
    for (int64_t extent : window.kernel)
      taps *= extent;
    int64_t entries = int64_t(op.getOffsetGroup()) * taps;
    auto check = [&](Value tensor, int64_t channels) -> LogicalResult {
      StringRef problem = "offsets or mask of DeformConv do not fit the output";
      Sizes wanted = {t.size(input, 0), t.builder.getIndexAttr(channels)};
      wanted.append(places.begin(), places.end());
      for (auto [own, expected] : llvm::zip_equal(t.sizes(tensor), wanted)) {
        std::optional<int64_t> a = getConstantIntValue(own);
        std::optional<int64_t> b = getConstantIntValue(expected);
        if (a && b && *a != *b)
          return l.error() << "expected offsets and mask for every place of "
                              "the output, got an extent of "
                           << *a << " instead of " << *b;
        t.checkEqual(own, expected, problem);
      }
      return success();
    };
    if (failed(check(offsets, entries * count)))
      return failure();
    return mask ? check(mask, entries) : success();
  }

  /// All windows side by side: batch x channel x (place, tap)...
  Value gather(Value input, ArrayRef<OpFoldResult> places) {
    int64_t count = window.getRank();
    RankedTensorType type = Lowering::getType(input);
    Type element = type.getElementType(), wide = getAccumulator(element);
    int64_t perGroup = type.getDimSize(1) / int64_t(op.getOffsetGroup());
    Sampler sampler(t, input, wide, Interpolation::Linear, Border::Zeros);
    Sizes kernel, sizes = {t.size(input, 0), t.size(input, 1)};
    int64_t taps = 1;
    for (int64_t i = 0; i < count; ++i) {
      taps *= window.kernel[i];
      kernel.push_back(t.builder.getIndexAttr(window.kernel[i]));
      sizes.push_back(t.mulSizes(places[i], kernel[i]));
    }
    return t.generate(sizes, element, [&](TensorBuilder &b, ValueRange at) {
      SmallVector<Value> place, tap;
      for (int64_t i = 0; i < count; ++i) {
        Value extent = b.index(window.kernel[i]);
        place.push_back(
            arith::DivUIOp::create(b.builder, b.loc, at[2 + i], extent));
        tap.push_back(
            arith::RemUIOp::create(b.builder, b.loc, at[2 + i], extent));
      }
      Value group =
          arith::DivUIOp::create(b.builder, b.loc, at[1], b.index(perGroup));
      Value entry = b.add(b.mul(group, b.index(taps)), flatten(b, tap, kernel));
      auto read = [&](Value tensor, Value channel) {
        SmallVector<Value> source = {at[0], channel};
        source.append(place);
        return b.convert(b.extract(tensor, source), wide);
      };
      SmallVector<Value> coordinates;
      for (int64_t i = 0; i < count; ++i) {
        Value pixel = b.add(b.mul(place[i], b.index(window.strides[i])),
                            b.mul(tap[i], b.index(window.dilations[i])));
        pixel = b.sub(pixel, b.index(window.before[i]));
        Value channel = b.add(b.mul(entry, b.index(count)), b.index(i));
        coordinates.push_back(
            b.add(b.convert(pixel, wide), read(offsets, channel)));
      }
      Value value = sampler.sample(b, at[0], at[1], coordinates);
      if (mask)
        value = b.mul(value, read(mask, entry));
      return b.convert(value, element);
    });
  }

  onnx::DeformConvOp op;
  Lowering &l;
  TensorBuilder &t;
  Value offsets, mask;
  Window window;
};

LogicalResult lowerDeformConv(onnx::DeformConvOp op, Lowering &l) {
  return DeformConvBuilder(op, l).build();
}

/// Each pixel is the sum of the entries of all blocks that cover it.
LogicalResult lowerCol2Im(onnx::Col2ImOp op, Lowering &l) {
  TensorBuilder &t = l.tensors;
  Value input = l.get(op.getInput());
  RankedTensorType type = Lowering::getType(input);
  FailureOr<Sizes> image = l.getElements(op.getImageShape());
  FailureOr<Sizes> block = l.getElements(op.getBlockShape());
  if (failed(image) || failed(block))
    return failure();
  int64_t count = image->size();
  auto readAttribute = [&](std::optional<ArrayRef<int64_t>> given, size_t size,
                           int64_t otherwise) {
    return given ? SmallVector<int64_t>(*given)
                 : SmallVector<int64_t>(size, otherwise);
  };
  SmallVector<int64_t> strides = readAttribute(op.getStrides(), count, 1);
  SmallVector<int64_t> dilations = readAttribute(op.getDilations(), count, 1);
  SmallVector<int64_t> pads = readAttribute(op.getPads(), 2 * count, 0);
  auto isPositive = [](int64_t i) { return i > 0; };
  if (type.getRank() != 3 || count < 1 || int64_t(block->size()) != count ||
      int64_t(strides.size()) != count || int64_t(dilations.size()) != count ||
      int64_t(pads.size()) != 2 * count || !llvm::all_of(strides, isPositive) ||
      !llvm::all_of(dilations, isPositive))
    return l.error() << "expected an input of rank 3 and positive strides and "
                        "dilations for "
                     << count << " spatial dimensions";
  Sizes blocks; // How many there are in each dimension.
  OpFoldResult one = t.builder.getIndexAttr(1);
  for (int64_t i = 0; i < count; ++i) {
    OpFoldResult reach =
        t.addSizes(t.mulSizes(t.subSizes((*block)[i], one),
                              t.builder.getIndexAttr(dilations[i])),
                   one);
    OpFoldResult room = t.subSizes(
        t.addSizes((*image)[i],
                   t.builder.getIndexAttr(pads[i] + pads[count + i])),
        reach);
    blocks.push_back(
        t.addSizes(t.divSizes(room, t.builder.getIndexAttr(strides[i])), one));
  }
  OpFoldResult taps = t.product(*block);
  OpFoldResult channels = t.divSizes(t.size(input, 1), taps);
  StringRef problem = "Col2Im: the columns do not fit image and block";
  t.checkEqual(t.size(input, 1), t.mulSizes(channels, taps), problem);
  t.checkEqual(t.size(input, 2), t.product(blocks), problem);
  Sizes sizes = {t.size(input, 0), channels};
  llvm::append_range(sizes, *image);
  sizes = l.refine(op.getOutput(), sizes);

  Type element = type.getElementType(), wide = getAccumulator(element);
  SmallVector<Value> blockCounts;
  for (OpFoldResult extent : blocks)
    blockCounts.push_back(t.index(extent));
  Value tapCount = t.index(taps);
  MLIRContext *context = t.builder.getContext();
  int64_t loops = 2 + 2 * count;
  SmallVector<AffineExpr> tapDims;
  for (int64_t i = 0; i < count; ++i)
    tapDims.push_back(getAffineDimExpr(2 + count + i, context));
  SmallVector<utils::IteratorType> iterators(loops,
                                             utils::IteratorType::parallel);
  for (int64_t i = 2 + count; i < loops; ++i)
    iterators[i] = utils::IteratorType::reduction;
  // The input has no data; it gives the taps their extents.
  Value extents = t.empty(*block, t.builder.getI1Type());
  Value start = t.fill(t.constant(wide, 0), sizes);
  Value sum =
      linalg::GenericOp::create(
          t.builder, t.loc, start.getType(), extents, start,
          ArrayRef<AffineMap>{AffineMap::get(loops, 0, tapDims, context),
                              AffineMap::getMultiDimIdentityMap(loops, context)
                                  .getMajorSubMap(2 + count)},
          iterators,
          [&](OpBuilder &nested, Location loc, ValueRange v) {
            TensorBuilder b(nested, loc);
            auto loop = [&](int64_t i) -> Value {
              return linalg::IndexOp::create(nested, loc, i);
            };
            Value zero = b.index(0), row = loop(1), column = zero;
            SmallVector<Value> tap, conditions;
            for (int64_t i = 0; i < count; ++i) {
              tap.push_back(loop(2 + count + i));
              Value place = b.sub(b.add(loop(2 + i), b.index(pads[i])),
                                  b.mul(tap[i], b.index(dilations[i])));
              Value stride = b.index(strides[i]);
              Value number =
                  arith::FloorDivSIOp::create(nested, loc, place, stride);
              auto compare = [&](arith::CmpIPredicate predicate, Value x,
                                 Value y) {
                conditions.push_back(compareIndex(b, predicate, x, y));
              };
              compare(arith::CmpIPredicate::eq, b.mul(number, stride), place);
              compare(arith::CmpIPredicate::sge, number, zero);
              compare(arith::CmpIPredicate::slt, number, blockCounts[i]);
              Value last = b.sub(blockCounts[i], b.index(1));
              number = b.max(b.min(number, last), zero);
              column = b.add(b.mul(column, blockCounts[i]), number);
            }
            row = b.add(b.mul(row, tapCount), flatten(b, tap, *block));
            Value entry = b.extract(input, {loop(0), row, column});
            Value part = b.select(andAll(b, conditions), b.convert(entry, wide),
                                  b.constant(wide, 0));
            linalg::YieldOp::create(nested, loc, b.add(v.back(), part));
          })
          .getResult(0);
  l.set(op.getOutput(), t.cast(sum, element));
  return success();
}

} // namespace

void moe::addDeformConvLowerings(LoweringTable &table) {
  table.add(lowerDeformConv);
  table.add(lowerCol2Im);
}
