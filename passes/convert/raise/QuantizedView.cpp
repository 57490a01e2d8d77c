//===- QuantizedView.cpp - quantised weights as views -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/QuantizedView.h"

#include "passes/convert/raise/DataFlow.h"

using namespace mlir;
using namespace mlir::moe;

std::optional<WeightView> moe::getStoredView(Value value) {
  if (std::optional<WeightView> view = WeightView::get(value))
    return view;
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto place =
      constant ? constant->getAttrOfType<ViewAttr>(kPlaceAttr) : ViewAttr();
  if (!place)
    return std::nullopt;
  RankedTensorType type = getTensorType(value);
  return WeightView{"constant",
                    {place},
                    SmallVector<int64_t>(type.getShape()),
                    type.getElementType()};
}

std::optional<WeightView> moe::unpackBytes(const WeightView &bytes,
                                           Type element) {
  if (bytes.getRank() == int64_t(bytes.isStack()))
    return std::nullopt;
  int64_t perByte = 8 / element.getIntOrFloatBitWidth();
  WeightView result = bytes;
  result.shape.back() *= perByte;
  result.element = element;
  for (ViewAttr &view : result.views) {
    SmallVector<int64_t> strides(view.getStrides());
    bool isRow = strides.back() == 1 || bytes.shape.back() == 1;
    if (!isRow || view.isQuantized() || !view.getBlocks().empty() ||
        view.getElement().getIntOrFloatBitWidth() != 8)
      return std::nullopt;
    for (int64_t &stride : strides)
      stride *= perByte;
    strides.back() = 1;
    view = ViewAttr::get(view.getContext(), view.getFile(), view.getOffset(),
                         element, strides);
  }
  return result;
}

std::optional<WeightView> moe::repeatBlocks(const WeightView &values,
                                            ArrayRef<int64_t> blocks) {
  if (values.getRank() != static_cast<int64_t>(blocks.size()) ||
      (values.isStack() && blocks.front() != 1))
    return std::nullopt;
  WeightView result = values;
  int64_t skipped = values.isStack();
  for (ViewAttr &view : result.views) {
    if (view.isQuantized() || !view.getBlocks().empty())
      return std::nullopt;
    SmallVector<int64_t> strides(view.getStrides()),
        own(blocks.drop_front(skipped));
    for (size_t i = 0; i < strides.size(); ++i)
      if (values.shape[i + skipped] == 1)
        strides[i] = 0, own[i] = 1;
    if (!(view = view.move(0, strides, own)))
      return std::nullopt;
  }
  return result;
}

/// The number that all elements of a constant are; a weight has none.
static std::optional<double> getUniform(Value value) {
  auto constant = value.getDefiningOp<onnx::ConstantOp>();
  auto elements = constant ? dyn_cast<DenseElementsAttr>(constant.getValue())
                           : DenseElementsAttr();
  if (!elements || !elements.isSplat())
    return std::nullopt;
  Type type = elements.getElementType();
  if (isa<FloatType>(type))
    return elements.getSplatValue<APFloat>().convertToDouble();
  auto bits = elements.getSplatValue<APInt>();
  if (type.isUnsignedInteger())
    return static_cast<double>(bits.getZExtValue());
  return static_cast<double>(bits.getSExtValue());
}

LogicalResult QuantizationViews::addScales(Value value, Layout layout) {
  if (std::optional<double> number = getUniform(value)) {
    scale *= *number;
    return success();
  }
  std::optional<WeightView> table = getStoredView(value);
  if (table)
    table = layout(*table);
  if (!table)
    return failure();
  scales.push_back(*table);
  return success();
}

LogicalResult QuantizationViews::setZeroPoints(Value value, unsigned bits,
                                               Layout layout) {
  Type element = getTensorType(value).getElementType();
  bool isShared = element.isInteger(8) && bits < 8;
  if (std::optional<double> number = getUniform(value);
      number && std::floor(*number) == *number) {
    // The lowest number of a byte whose numbers are all equal.
    auto all = static_cast<int64_t>(*number);
    auto lowest = isShared ? all & ((1 << bits) - 1) : all;
    int64_t repeated = lowest;
    for (unsigned shift = bits; isShared && shift < 8; shift += bits)
      repeated |= lowest << shift;
    if (repeated == all) {
      zeroPoint = lowest;
      return success();
    }
  }
  zeroPoints = getStoredView(value);
  if (zeroPoints && isShared)
    zeroPoints =
        unpackBytes(*zeroPoints, IntegerType::get(value.getContext(), bits,
                                                  IntegerType::Unsigned));
  if (zeroPoints)
    zeroPoints = layout(*zeroPoints);
  return success(zeroPoints.has_value());
}

std::optional<WeightView> QuantizationViews::apply(const WeightView &stored,
                                                   Type element) const {
  WeightView result = stored;
  result.element = element;
  for (auto [i, view] : llvm::enumerate(result.views)) {
    if (view.isQuantized())
      return std::nullopt;
    // The entry of an inner view that goes with this view.
    auto getEntry = [&, i = i](const WeightView &inner) -> ViewAttr {
      if (inner.views.size() == stored.views.size())
        return inner.views[i];
      if (!stored.isStack() || inner.isStack())
        return {};
      std::optional<WeightView> entry =
          inner.select(0, inner.shape[0] == 1 ? 0 : i);
      return entry ? entry->views.front() : ViewAttr();
    };
    SmallVector<ViewAttr> own;
    for (const WeightView &inner : scales)
      own.push_back(getEntry(inner));
    ViewAttr zeros = zeroPoints ? getEntry(*zeroPoints) : ViewAttr();
    if (llvm::is_contained(own, ViewAttr()) || (zeroPoints && !zeros))
      return std::nullopt;
    MLIRContext *context = view.getContext();
    view = ViewAttr::get(
        context, view.getFile(), view.getOffset(), view.getElement(),
        view.getStrides(), view.getBlocks(), own, zeros, zeroPoint,
        FloatAttr::get(Float32Type::get(context), scale), view.getFirst());
  }
  return result;
}

//===----------------------------------------------------------------------===//
// Operators
//===----------------------------------------------------------------------===//

std::optional<WeightView> moe::getDequantized(onnx::DequantizeLinearOp op) {
  std::optional<WeightView> stored = getStoredView(op.getX());
  RankedTensorType result = getTensorType(op.getY());
  if (!stored || stored->getRank() == 0)
    return std::nullopt;
  int64_t rank = stored->getRank(), axis = op.getAxis();
  if (axis < 0)
    axis += rank;
  SmallVector<int64_t> blocks(rank, 1);
  if (axis < 0 || axis >= rank)
    return std::nullopt;
  if (op.getBlockSize() > 0)
    blocks[axis] = op.getBlockSize();
  // A vector lies along the axis; blocks have the rank of the weight.
  auto layout = [&](const WeightView &table) -> std::optional<WeightView> {
    if (op.getBlockSize() > 0 || table.getRank() != 1)
      return repeatBlocks(table, blocks);
    SmallVector<int64_t> shape(rank, 1);
    shape[axis] = table.shape.front();
    std::optional<WeightView> aligned = table.reshape(shape);
    return aligned ? repeatBlocks(*aligned, blocks) : aligned;
  };
  QuantizationViews views;
  if (failed(views.addScales(op.getXScale(), layout)) ||
      (isPresent(op.getXZeroPoint()) &&
       failed(views.setZeroPoints(op.getXZeroPoint(), 8, layout))))
    return std::nullopt;
  return views.apply(*stored, result.getElementType());
}

FailureOr<std::optional<WeightView>>
moe::getDequantized(onnx::MicrosoftMatMulNBitsOp op) {
  int64_t bits = op.getBits(), block = op.getBlockSize();
  int64_t k = op.getK(), n = op.getN();
  if ((bits != 2 && bits != 4 && bits != 8) || block < 8 / bits || k < 1 ||
      n < 1)
    return op.emitError() << "expected 'bits' 2, 4 or 8, a positive "
                             "'block_size' and positive 'K' and 'N', got "
                          << bits << ", " << block << ", " << k << " and " << n;
  int64_t count = llvm::divideCeilSigned(k, block);
  std::optional<WeightView> weight = getStoredView(op.getB());
  if (weight)
    weight = weight->reshape({n, count * block * bits / 8});
  if (weight)
    weight = unpackBytes(*weight, IntegerType::get(op.getContext(), bits,
                                                   IntegerType::Unsigned));
  if (!weight || isPresent(op.getGIdx()) || op.getWeightPrepacked())
    return std::optional<WeightView>();
  auto repeat = [&](const WeightView &table) {
    return repeatBlocks(table, {1, block});
  };
  auto layoutScales = [&](const WeightView &table) {
    std::optional<WeightView> matrix = table.reshape({n, count});
    return matrix ? repeat(*matrix) : matrix;
  };
  // The zero points of a column begin at a byte of their own.
  auto layoutZeroPoints = [&](const WeightView &table) {
    int64_t perByte = isa<FloatType>(table.element) ? 1 : 8 / bits;
    std::optional<WeightView> matrix =
        table.reshape({n, llvm::divideCeilSigned(count, perByte) * perByte});
    return matrix ? repeat(*matrix) : matrix;
  };
  QuantizationViews views;
  views.zeroPoint = int64_t(1) << (bits - 1);
  if (failed(views.addScales(op.getScales(), layoutScales)) ||
      (isPresent(op.getZeroPoints()) &&
       failed(views.setZeroPoints(op.getZeroPoints(), bits, layoutZeroPoints))))
    return std::optional<WeightView>();
  if (views.zeroPoints)
    views.zeroPoint = 0;
  weight = views.apply(*weight, getElementTypeOrSelf(op.getA()));
  if (weight)
    weight->allowsByteRows = op.getAccuracyLevel() == kByteAccuracy;
  if (weight)
    weight = weight->slice(1, 0, k);
  return weight ? weight->transpose({1, 0}) : weight;
}

std::optional<WeightView>
moe::getDequantized(onnx::MicrosoftGatherBlockQuantizedOp op) {
  std::optional<WeightView> table = getStoredView(op.getData());
  if (!table || table->getRank() == 0)
    return std::nullopt;
  Type element = getElementTypeOrSelf(op.getData());
  auto integer = dyn_cast<IntegerType>(element);
  unsigned bits = element.getIntOrFloatBitWidth();
  QuantizationViews views;
  if (bits == 8 && integer) {
    bits = op.getBits();
    if (bits != 2 && bits != 4 && bits != 8)
      return std::nullopt;
    table = unpackBytes(
        *table, IntegerType::get(op.getContext(), bits, IntegerType::Unsigned));
    // Only bytes have their middle as zero point.
    views.zeroPoint = int64_t(1) << (bits - 1);
  }
  int64_t rank = getTensorType(op.getData()).getRank();
  int64_t axis = op.getQuantizeAxis();
  if (axis < 0)
    axis += rank;
  if (!table || axis < 0 || axis >= rank)
    return std::nullopt;
  SmallVector<int64_t> blocks(rank, 1);
  blocks[axis] = op.getBlockSize() > 0 ? op.getBlockSize() : table->shape[axis];
  auto layout = [&](const WeightView &values) {
    return repeatBlocks(values, blocks);
  };
  if (failed(views.addScales(op.getScales(), layout)))
    return std::nullopt;
  if (isPresent(op.getZeroPoints())) {
    if (failed(views.setZeroPoints(op.getZeroPoints(), bits, layout)))
      return std::nullopt;
    if (views.zeroPoints)
      views.zeroPoint = 0;
  }
  return views.apply(*table, getElementTypeOrSelf(op.getOutput()));
}
