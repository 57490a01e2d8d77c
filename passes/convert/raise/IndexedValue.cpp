//===- IndexedValue.cpp - values with named indices -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/IndexedValue.h"

using namespace mlir;
using namespace mlir::moe;

bool IndexedValue::dependsOn(int label) const {
  return llvm::any_of(axes, [&](const Axis &axis) {
    return llvm::any_of(axis, [&](const Digit &d) { return d.label == label; });
  });
}

SmallVector<int> IndexedValue::getLabels() const {
  SmallVector<int> result;
  for (const Axis &axis : axes)
    for (const Digit &digit : axis)
      if (!digit.isConstant())
        result.push_back(digit.label);
  return result;
}

int IndexedValue::getLabel(int64_t i) const {
  const Axis &axis = axes[i];
  if (axis.size() != 1 || axis[0].offset != 0 || axis[0].step != 1)
    return Digit::kNone;
  return axis[0].label;
}

void IndexedValue::replace(int label, const Digit &digit) {
  for (Axis &axis : axes)
    for (Digit &d : axis)
      if (d.label == label)
        d = Digit{digit.label, d.offset + d.step * digit.offset,
                  d.step * digit.step, d.radix};
}

int Tracer::addLabel(int64_t extent) {
  labels.push_back({extent});
  return labels.size() - 1;
}

int Tracer::addRows(RowSpace space) {
  for (auto [i, label] : llvm::enumerate(labels))
    if (label.rows && label.rows->list == space.list &&
        label.rows->places == space.places)
      return i;
  spaces.push_back(std::move(space));
  labels.push_back({ShapedType::kDynamic, &spaces.back()});
  return labels.size() - 1;
}

IndexedValue Tracer::addLabels(Value value) {
  IndexedValue result{value, {}};
  for (int64_t extent : getTensorType(value).getShape())
    result.axes.push_back(extent == 1 ? Axis() : getWhole(addLabel(extent)));
  return result;
}

std::optional<IndexedValue>
Tracer::getOperand(Value operand, const IndexedValue &result) const {
  ArrayRef<int64_t> from = getTensorType(operand).getShape();
  ArrayRef<int64_t> to = getTensorType(result.value).getShape();
  if (from.size() > to.size())
    return std::nullopt;
  IndexedValue indexed{operand, {}};
  size_t lead = to.size() - from.size();
  for (size_t i = 0; i < from.size(); ++i) {
    // Of the rows of lanes only a run knows how many there are; that they make
    // up the whole is for others to prove.
    int label = result.getLabel(lead + i);
    bool isRows = label != Digit::kNone && getRows(label);
    if (from[i] == 1)
      indexed.axes.emplace_back();
    else if (ShapedType::isDynamic(from[i]) &&
             !ShapedType::isDynamic(to[lead + i]) && !isRows)
      return std::nullopt;
    else
      indexed.axes.push_back(result.axes[lead + i]);
  }
  return indexed;
}

IndexedValue Tracer::trace(IndexedValue indexed) {
  while (step(indexed))
    ;
  return indexed;
}

/// Whether a conversion keeps what the numbers say: no rounding to integers.
static bool isBenignCast(Operation *op) {
  Type from = getElementTypeOrSelf(op->getOperand(0).getType());
  Type to = getElementTypeOrSelf(op->getResult(0).getType());
  if (isa<FloatType>(from))
    return isa<FloatType>(to);
  return from.isInteger(1) || !to.isInteger(1);
}

/// The axes before dimensions of extent 1 were added or dropped.
static std::optional<SmallVector<Axis>> moveUnits(Operation *op,
                                                  ArrayRef<Axis> axes) {
  if (!isa<onnx::SqueezeOp, onnx::UnsqueezeOp>(op) ||
      !isPresent(op->getOperand(1)))
    return std::nullopt;
  std::optional<SmallVector<int64_t>> dims = getIntegers(op->getOperand(1));
  if (!dims)
    return std::nullopt;
  bool adds = isa<onnx::UnsqueezeOp>(op);
  int64_t rank = adds ? axes.size() : axes.size() + dims->size();
  SmallVector<bool> isUnit(rank);
  for (int64_t dim : *dims)
    isUnit[getAxisFromFront(dim, rank)] = true;
  SmallVector<Axis> result;
  for (int64_t i = 0, next = 0; i < rank; ++i) {
    if (adds) {
      if (!isUnit[i])
        result.push_back(axes[i]);
    } else {
      result.push_back(isUnit[i] ? Axis() : axes[next++]);
    }
  }
  return result;
}

bool Tracer::step(IndexedValue &indexed) {
  Operation *op = indexed.value.getDefiningOp();
  if (!op || !isa<onnx::ONNXDialect>(op->getDialect()))
    return false;
  auto moveTo = [&](std::optional<IndexedValue> source) {
    if (source)
      indexed = std::move(*source);
    return source.has_value();
  };
  if (isa<onnx::IdentityOp>(op) ||
      (isa<onnx::CastOp, onnx::CastLikeOp>(op) && isBenignCast(op))) {
    indexed.value = op->getOperand(0);
    return true;
  }
  if (auto transpose = dyn_cast<onnx::TransposeOp>(op)) {
    SmallVector<Axis> axes(indexed.axes.size());
    std::optional<ArrayRef<int64_t>> perm = transpose.getPerm();
    for (size_t i = 0; i < axes.size(); ++i)
      axes[perm ? (*perm)[i] : axes.size() - 1 - i] = indexed.axes[i];
    indexed = {transpose.getData(), std::move(axes)};
    return true;
  }
  if (isa<onnx::ReshapeOp, onnx::SqueezeOp, onnx::UnsqueezeOp, onnx::FlattenOp>(
          op)) {
    std::optional<SmallVector<Axis>> axes = moveUnits(op, indexed.axes);
    if (!axes)
      axes = regroup(indexed.axes, getTensorType(op->getOperand(0)).getShape());
    if (!axes)
      return false;
    indexed = {op->getOperand(0), std::move(*axes)};
    return true;
  }
  if (isa<onnx::ExpandOp>(op))
    return moveTo(getOperand(op->getOperand(0), indexed));
  if (auto tile = dyn_cast<onnx::TileOp>(op))
    return stepTile(tile, indexed);
  if (auto slice = dyn_cast<onnx::SliceOp>(op))
    return stepSlice(slice, indexed);
  if (auto split = dyn_cast<onnx::SplitOp>(op))
    return stepSplit(split, indexed);
  if (auto concat = dyn_cast<onnx::ConcatOp>(op))
    return stepConcat(concat, indexed);
  if (isa<onnx::GatherOp, onnx::GatherNDOp>(op))
    return stepGather(op, indexed);
  if (auto scatter = dyn_cast<onnx::ScatterNDOp>(op))
    return stepScatter(scatter, indexed);
  return false;
}

/// The index start + step * axis into a dimension of `extent`.
static std::optional<Axis> shift(const Axis &axis, int64_t start, int64_t step,
                                 int64_t extent) {
  if (start == 0 && step == 1 && axis.size() == 1 && axis[0].radix == extent)
    return axis;
  if (ShapedType::isDynamic(extent) || axis.size() > 1)
    return std::nullopt;
  Digit digit = axis.empty() ? Digit() : axis[0];
  return Axis{Digit{digit.label, start + step * digit.offset, step * digit.step,
                    extent}};
}

bool Tracer::stepSlice(onnx::SliceOp op, IndexedValue &indexed) {
  ArrayRef<int64_t> shape = getTensorType(op.getData()).getShape();
  auto starts = getIntegers(op.getStarts());
  if (!starts)
    return false;
  SmallVector<int64_t> dims =
      llvm::to_vector(llvm::seq<int64_t>(0, starts->size()));
  SmallVector<int64_t> steps(starts->size(), 1);
  if (isPresent(op.getAxes())) {
    auto given = getIntegers(op.getAxes());
    if (!given)
      return false;
    dims = *given;
  }
  if (isPresent(op.getSteps())) {
    auto given = getIntegers(op.getSteps());
    if (!given)
      return false;
    steps = *given;
  }
  IndexedValue source{op.getData(), indexed.axes};
  for (auto [start, dim, step] : llvm::zip_equal(*starts, dims, steps)) {
    int64_t i = dim < 0 ? dim + shape.size() : dim;
    if (step < 1)
      return false;
    // The first entries of a dimension whose extent only a run can tell.
    if (start == 0 && step == 1 && ShapedType::isDynamic(shape[i])) {
      if (ShapedType::isDynamic(getTensorType(op.getResult()).getDimSize(i)))
        continue;
      return false;
    }
    if (start < 0 && ShapedType::isDynamic(shape[i]))
      return false;
    std::optional<Axis> axis = shift(
        indexed.axes[i], start < 0 ? start + shape[i] : start, step, shape[i]);
    if (!axis)
      return false;
    source.axes[i] = *axis;
  }
  indexed = std::move(source);
  return true;
}

bool Tracer::stepSplit(onnx::SplitOp op, IndexedValue &indexed) {
  RankedTensorType type = getTensorType(op.getInput());
  int64_t i = getAxisFromFront(op.getAxis(), type.getRank());
  int64_t start = 0;
  for (Value part : op.getOutputs()) {
    if (part == indexed.value)
      break;
    if (getTensorType(part).isDynamicDim(i))
      return false;
    start += getTensorType(part).getDimSize(i);
  }
  std::optional<Axis> axis =
      shift(indexed.axes[i], start, 1, type.getDimSize(i));
  if (!axis)
    return false;
  indexed.value = op.getInput();
  indexed.axes[i] = *axis;
  return true;
}

/// A constant index, or nothing.
static std::optional<int64_t> getConstant(const Axis &axis) {
  if (axis.empty())
    return 0;
  if (axis.size() == 1 && axis[0].isConstant())
    return axis[0].offset;
  return std::nullopt;
}

bool Tracer::stepConcat(onnx::ConcatOp op, IndexedValue &indexed) {
  RankedTensorType type = getTensorType(op.getResult());
  int64_t i = getAxisFromFront(op.getAxis(), type.getRank());
  // The rows of the only expert are joined like those of many.
  int label = indexed.getLabel(i);
  bool isLane = label != Digit::kNone && getRows(label);
  if (op->getNumOperands() == 1 && !isLane) {
    indexed.value = op->getOperand(0);
    return true;
  }
  std::optional<int64_t> place = getConstant(indexed.axes[i]);
  if (!place)
    return false;
  for (Value part : op.getInputs()) {
    int64_t extent = getTensorType(part).getDimSize(i);
    if (ShapedType::isDynamic(extent))
      return false;
    if (*place < extent) {
      indexed.value = part;
      indexed.axes[i] =
          extent == 1 ? Axis() : Axis{Digit{Digit::kNone, *place, 1, extent}};
      return true;
    }
    *place -= extent;
  }
  return false;
}

bool Tracer::stepTile(onnx::TileOp op, IndexedValue &indexed) {
  std::optional<SmallVector<int64_t>> repeats = getIntegers(op.getRepeats());
  ArrayRef<int64_t> shape = getTensorType(op.getInput()).getShape();
  if (!repeats || repeats->size() != shape.size())
    return false;
  IndexedValue source{op.getInput(), indexed.axes};
  for (auto [axis, times, extent] :
       llvm::zip_equal(source.axes, *repeats, shape)) {
    if (times == 1)
      continue;
    if (extent == 1) {
      axis.clear();
      continue;
    }
    // The copies follow each other: which one is the leading digit.
    if (axis.size() < 2 || axis.front().radix != times ||
        axis.front().step != 1)
      return false;
    axis.erase(axis.begin());
  }
  indexed = std::move(source);
  return true;
}

//===----------------------------------------------------------------------===//
// Joined and split dimensions
//===----------------------------------------------------------------------===//

/// A digit of radix high * low as two.
static std::optional<std::pair<Digit, Digit>>
splitDigit(const Digit &digit, int64_t extent, int64_t low) {
  int64_t high = digit.radix / low;
  if (digit.isConstant())
    return std::make_pair(Digit{Digit::kNone, digit.offset / low, 1, high},
                          Digit{Digit::kNone, digit.offset % low, 1, low});
  // A run of whole rows, or one column.
  if (digit.step == 1 && extent == low && digit.offset % low == 0)
    return std::make_pair(Digit{Digit::kNone, digit.offset / low, 1, high},
                          Digit{digit.label, 0, 1, low});
  if (digit.step == low && extent == high && digit.offset < low)
    return std::make_pair(Digit{digit.label, 0, 1, high},
                          Digit{Digit::kNone, digit.offset, 1, low});
  return std::nullopt;
}

/// Moves digits that make up `extent` from one end of `digits` to `axis`.
bool Tracer::popDigits(SmallVectorImpl<Digit> &digits, int64_t extent,
                       bool fromBack, bool isLast, Axis &axis) const {
  int64_t left = extent;
  while (left > 1) {
    if (digits.empty())
      return false;
    Digit digit = fromBack ? digits.back() : digits.front();
    auto drop = [&](ArrayRef<Digit> rest) {
      digits.erase(fromBack ? digits.end() - 1 : digits.begin());
      for (const Digit &d : rest)
        digits.insert(fromBack ? digits.end() : digits.begin(), d);
    };
    auto take = [&](const Digit &d) {
      axis.insert(fromBack ? axis.begin() : axis.end(), d);
    };
    // An extent that the type of the result does not know.
    if (ShapedType::isDynamic(digit.radix)) {
      if (left != extent || digits.size() != 1 || !isLast)
        return false;
      take(digit);
      drop({});
      return true;
    }
    if (left % digit.radix == 0) {
      left /= digit.radix;
      take(digit);
      drop({});
      continue;
    }
    if (digit.radix % left != 0)
      return false;
    int64_t count = digit.isConstant() ? 1 : getExtent(digit.label);
    auto parts = splitDigit(digit, count, fromBack ? left : digit.radix / left);
    if (!parts)
      return false;
    take(fromBack ? parts->second : parts->first);
    drop(fromBack ? parts->first : parts->second);
    left = 1;
  }
  return true;
}

std::optional<SmallVector<Axis>>
Tracer::regroup(ArrayRef<Axis> axes, ArrayRef<int64_t> shape) const {
  SmallVector<Digit> digits;
  for (const Axis &axis : axes)
    for (const Digit &digit : axis)
      if (digit.radix != 1)
        digits.push_back(digit);
  SmallVector<Axis> result(shape.size());
  int64_t last = static_cast<int64_t>(shape.size()) - 1, first = 0;
  auto areUnits = [](ArrayRef<int64_t> extents) {
    return llvm::all_of(extents, [](int64_t extent) { return extent == 1; });
  };
  for (; last >= 0 && !ShapedType::isDynamic(shape[last]); --last)
    if (!popDigits(digits, shape[last], /*fromBack=*/true,
                   areUnits(shape.take_front(last)), result[last]))
      return std::nullopt;
  for (; first < last && !ShapedType::isDynamic(shape[first]); ++first)
    if (!popDigits(digits, shape[first], /*fromBack=*/false, /*isLast=*/false,
                   result[first]))
      return std::nullopt;
  if (last < first)
    return digits.empty() ? std::make_optional(result) : std::nullopt;
  // What is left belongs to the dimension of unknown extent.
  if (last == first) {
    result[last].assign(digits.begin(), digits.end());
    return result;
  }
  return std::nullopt;
}

//===----------------------------------------------------------------------===//
// Building
//===----------------------------------------------------------------------===//

Value moe::buildMatrix(OpBuilder &builder, Location loc, const Tracer &tracer,
                       const IndexedValue &indexed, ArrayRef<int> rows,
                       int column) {
  Value value = indexed.value;
  SmallVector<int64_t> dims;
  SmallVector<Axis> axes(indexed.axes);
  auto buildIntegers = [&](ArrayRef<int64_t> values) -> Value {
    auto type = RankedTensorType::get({static_cast<int64_t>(values.size())},
                                      builder.getI64Type());
    return onnx::ConstantOp::create(builder, loc, type,
                                    DenseIntElementsAttr::get(type, values));
  };
  // Parts of dimensions are cut out.
  for (auto [i, axis] : llvm::enumerate(axes)) {
    if (axis.size() != 1)
      continue;
    const Digit &digit = axis[0];
    int64_t count = digit.isConstant() ? 1 : tracer.getExtent(digit.label);
    if (digit.offset == 0 && digit.step == 1 &&
        (digit.radix == count || ShapedType::isDynamic(digit.radix)))
      continue;
    if (ShapedType::isDynamic(count))
      return {};
    SmallVector<int64_t> shape(getTensorType(value).getShape());
    shape[i] = count;
    value = onnx::SliceOp::create(
        builder, loc,
        RankedTensorType::get(shape, getTensorType(value).getElementType()),
        value, buildIntegers(digit.offset),
        buildIntegers(digit.offset + (count - 1) * digit.step + 1),
        buildIntegers(i), buildIntegers(digit.step));
    axis = digit.isConstant() ? Axis() : tracer.getWhole(digit.label);
  }
  // The order of the dimensions.
  SmallVector<int> wanted(rows);
  if (column != Digit::kNone)
    wanted.push_back(column);
  llvm::erase_if(wanted, [&](int label) {
    return tracer.getExtent(label) == 1 && !indexed.dependsOn(label);
  });
  SmallVector<int64_t> order;
  SmallVector<bool> used(axes.size());
  size_t next = 0;
  for (size_t round = 0; round <= axes.size() && next < wanted.size(); ++round)
    for (auto [i, axis] : llvm::enumerate(axes)) {
      if (used[i] || axis.empty() || next >= wanted.size() ||
          axis[0].label != wanted[next])
        continue;
      for (const Digit &digit : axis) {
        if (next >= wanted.size() || digit.label != wanted[next])
          return {};
        ++next;
      }
      used[i] = true;
      order.push_back(i);
    }
  if (next != wanted.size())
    return {};
  for (size_t i = 0; i < axes.size(); ++i) {
    if (used[i])
      continue;
    if (!axes[i].empty() && axes[i][0].radix != 1)
      return {};
    order.push_back(i);
  }
  RankedTensorType type = getTensorType(value);
  // Dimensions of extent 1 move for free; keep the others in order.
  SmallVector<int64_t> moved;
  llvm::copy_if(order, std::back_inserter(moved),
                [&](int64_t i) { return type.getDimSize(i) != 1; });
  if (!llvm::is_sorted(moved)) {
    SmallVector<int64_t> shape;
    for (int64_t i : order)
      shape.push_back(type.getDimSize(i));
    type = RankedTensorType::get(shape, type.getElementType());
    value = onnx::TransposeOp::create(builder, loc, type, value,
                                      builder.getDenseI64ArrayAttr(order));
  }
  int64_t width = column == Digit::kNone ? 1 : tracer.getExtent(column);
  if (ShapedType::isDynamic(width))
    return {};
  if (type.getRank() == 2 && type.getDimSize(1) == width)
    return value;
  int64_t count = type.hasStaticShape() && width > 0
                      ? type.getNumElements() / width
                      : ShapedType::kDynamic;
  return onnx::ReshapeOp::create(
      builder, loc,
      RankedTensorType::get({count, width}, type.getElementType()), value,
      buildIntegers({-1, width}));
}
