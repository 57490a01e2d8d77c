//===- RowSpaces.cpp - rows in an order that the graph computes -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
//   order   = sort(ids)                 row r is assignment order[r]
//   inverse = order scattered to 0, 1, ... assignment a is row inverse[a]
//   places  = nonzero(mask)             row r is the place places[:, r]
//
// A gather by `inverse` enters a row space, gathers by `order`, `order / K` or
// `places[i]` leave it again.
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/RowSpaces.h"
#include "passes/convert/raise/IndexedValue.h"

using namespace mlir;
using namespace mlir::moe;

bool moe::isCounting(Value value) {
  value = skipCasts(value);
  if (auto range = value.getDefiningOp<onnx::RangeOp>())
    return getNumber(range.getStart()) == 0.0 &&
           getNumber(range.getDelta()) == 1.0;
  std::optional<SmallVector<int64_t>> numbers = getIntegers(value);
  if (!numbers)
    return false;
  for (auto [i, number] : llvm::enumerate(*numbers))
    if (number != static_cast<int64_t>(i))
      return false;
  return true;
}

onnx::TopKOp moe::getSort(Value order) {
  auto sort = skipCasts(order).getDefiningOp<onnx::TopKOp>();
  if (!sort || sort.getLargest() || skipCasts(order) != sort.getIndices() ||
      getTensorType(sort.getX()).getRank() != 1)
    return {};
  // It takes everything there is. Exporters compute the length of equal vectors
  // once; fewer entries than there are would leave places of the result without
  // a row, which then could not be gathered back.
  auto length = getProducer<onnx::ShapeOp>(sort.getK());
  if (length && (length.getData() == sort.getX() ||
                 (getTensorType(length.getData()).getRank() == 1 &&
                  getTensorType(length.getData()).isDynamicDim(0) &&
                  getTensorType(sort.getX()).isDynamicDim(0))))
    return sort;
  std::optional<double> count = getNumber(sort.getK());
  int64_t extent = getTensorType(sort.getX()).getDimSize(0);
  return count && *count == static_cast<double>(extent) ? sort : onnx::TopKOp();
}

/// The order that `inverse` undoes.
static onnx::TopKOp getInverted(Value inverse) {
  inverse = skipCasts(inverse);
  if (auto scatter = inverse.getDefiningOp<onnx::ScatterNDOp>())
    return scatter.getReduction() == "none" && isCounting(scatter.getUpdates())
               ? getSort(scatter.getIndices())
               : onnx::TopKOp();
  if (auto scatter = inverse.getDefiningOp<onnx::ScatterElementsOp>())
    return scatter.getReduction() == "none" && isCounting(scatter.getUpdates())
               ? getSort(scatter.getIndices())
               : onnx::TopKOp();
  // Sorting an order gives the inverse.
  if (onnx::TopKOp again = getSort(inverse))
    return getSort(again.getX());
  return {};
}

/// `value` as dividend / number, rounded down; the dividend is not negative, so
/// that a correction for negative numbers is zero.
std::optional<std::pair<Value, int64_t>> moe::matchQuotient(Value value) {
  value = skipCasts(value);
  // |a| rounded down, times the sign of a.
  if (auto mul = value.getDefiningOp<onnx::MulOp>())
    for (unsigned i = 0; i < 2; ++i) {
      auto sign = skipCasts(mul->getOperand(i)).getDefiningOp<onnx::SignOp>();
      auto floor =
          skipCasts(mul->getOperand(1 - i)).getDefiningOp<onnx::FloorOp>();
      auto abs = floor ? skipCasts(floor.getX()).getDefiningOp<onnx::AbsOp>()
                       : onnx::AbsOp();
      if (sign && abs && skipCasts(sign.getInput()) == skipCasts(abs.getX())) {
        value = skipCasts(abs.getX());
        break;
      }
    }
  if (auto floor = value.getDefiningOp<onnx::FloorOp>())
    value = skipCasts(floor.getX());
  Value corrected;
  if (auto sub = value.getDefiningOp<onnx::SubOp>()) {
    auto both = skipCasts(sub.getB()).getDefiningOp<onnx::AndOp>();
    auto equal = both ? skipCasts(both.getA()).getDefiningOp<onnx::EqualOp>()
                      : onnx::EqualOp();
    auto less = equal ? skipCasts(equal.getA()).getDefiningOp<onnx::LessOp>()
                      : onnx::LessOp();
    std::optional<double> wanted =
        equal ? getNumber(equal.getB()) : std::nullopt;
    if (!less || getNumber(less.getB()) != 0.0 || !wanted || *wanted == 0.0)
      return std::nullopt;
    corrected = skipCasts(less.getA());
    value = skipCasts(sub.getA());
  }
  auto div = value.getDefiningOp<onnx::DivOp>();
  std::optional<double> number = div ? getNumber(div.getB()) : std::nullopt;
  if (!number || *number < 1 || *number != std::floor(*number))
    return std::nullopt;
  Value dividend = skipCasts(div.getA());
  if (corrected && corrected != dividend)
    return std::nullopt;
  return std::make_pair(dividend, static_cast<int64_t>(*number));
}

static std::optional<int64_t> getProduct(ArrayRef<Digit> digits) {
  int64_t product = 1;
  for (const Digit &digit : digits) {
    if (ShapedType::isDynamic(digit.radix))
      return std::nullopt;
    product *= digit.radix;
  }
  return product;
}

/// The place that `index` reads in the rows of its label.
std::optional<Axis> Tracer::resolveRows(const IndexedValue &index) {
  IndexedValue traced = trace(index);
  Value value = traced.value;
  // A count is its own index.
  if (traced.axes.size() == 1 && isCounting(value))
    return traced.axes[0];
  if (auto add = value.getDefiningOp<onnx::AddOp>()) {
    for (unsigned i = 0; i < 2; ++i) {
      std::optional<IndexedValue> high = getOperand(add->getOperand(i), traced);
      std::optional<IndexedValue> low =
          getOperand(add->getOperand(1 - i), traced);
      if (!high || !low)
        return std::nullopt;
      IndexedValue product = trace(*high);
      auto mul = product.value.getDefiningOp<onnx::MulOp>();
      for (unsigned j = 0; mul && j < 2; ++j) {
        std::optional<double> number = getNumber(mul->getOperand(j));
        std::optional<IndexedValue> rest =
            getOperand(mul->getOperand(1 - j), product);
        std::optional<Axis> a =
            number && rest ? resolveRows(*rest) : std::nullopt;
        std::optional<Axis> b = a ? resolveRows(*low) : std::nullopt;
        if (!b || getProduct(*b) != static_cast<int64_t>(*number))
          continue;
        a->append(b->begin(), b->end());
        return a;
      }
    }
    return std::nullopt;
  }
  auto getSpace = [&](const Axis &axis) -> const RowSpace * {
    return axis.size() == 1 && !axis[0].isConstant() && axis[0].offset == 0 &&
                   axis[0].step == 1
               ? getRows(axis[0].label)
               : nullptr;
  };
  if (auto nonZero = value.getDefiningOp<onnx::NonZeroOp>()) {
    const RowSpace *space = getSpace(traced.axes[1]);
    const Axis &place = traced.axes[0];
    if (!space || space->list != value || place.size() > 1 ||
        (!place.empty() && !place[0].isConstant()))
      return std::nullopt;
    return space->places[place.empty() ? 0 : place[0].offset];
  }
  if (traced.axes.size() != 1)
    return std::nullopt;
  const RowSpace *space = getSpace(traced.axes[0]);
  if (!space)
    return std::nullopt;
  if (space->list == value)
    return space->places[0];
  auto quotient = matchQuotient(value);
  if (!quotient || quotient->first != space->list)
    return std::nullopt;
  Axis place = space->places[0];
  int64_t left = quotient->second;
  while (left > 1 && !place.empty()) {
    const Digit &digit = place.back();
    if (ShapedType::isDynamic(digit.radix) || left % digit.radix != 0)
      return std::nullopt;
    left /= digit.radix;
    place.pop_back();
  }
  return left == 1 ? std::make_optional(place) : std::nullopt;
}

/// The rows that the places of `index` were sorted to.
std::optional<Axis> Tracer::enterRows(const IndexedValue &index) {
  IndexedValue traced = trace(index);
  onnx::TopKOp sort = getInverted(traced.value);
  if (!sort || traced.axes.size() != 1)
    return std::nullopt;
  return getWhole(addRows({sort.getIndices(), {traced.axes[0]}}));
}

/// A constant index, or a run of indices at equal distances along one dimension
/// of `index` and the same along all others.
static std::optional<Axis> readConstant(const IndexedValue &index,
                                        int64_t extent) {
  std::optional<SmallVector<int64_t>> numbers = getIntegers(index.value);
  if (!numbers || numbers->empty() || ShapedType::isDynamic(extent))
    return std::nullopt;
  ArrayRef<int64_t> shape = getTensorType(index.value).getShape();
  int64_t count = numbers->size(), step = 0;
  std::optional<size_t> run;
  // The distance of two neighbours along a dimension, in row-major order.
  int64_t stride = count;
  for (auto [dim, size] : llvm::enumerate(shape)) {
    stride /= size;
    if (size == 1 || (*numbers)[stride] == (*numbers)[0])
      continue;
    if (run)
      return std::nullopt;
    run = dim;
    step = (*numbers)[stride] - (*numbers)[0];
  }
  int64_t size = run ? shape[*run] : 1;
  int64_t inner = 1;
  for (size_t dim = shape.size(); run && dim > *run + 1; --dim)
    inner *= shape[dim - 1];
  for (int64_t i = 0; i < count; ++i)
    if ((*numbers)[i] != (*numbers)[0] + step * (i / inner % size))
      return std::nullopt;
  int64_t first =
      numbers->front() < 0 ? numbers->front() + extent : numbers->front();
  if (!run)
    return extent == 1 ? Axis() : Axis{Digit{Digit::kNone, first, 1, extent}};
  const Axis &axis = index.axes[*run];
  if (step < 1 || axis.size() != 1)
    return std::nullopt;
  return Axis{Digit{axis[0].label, first + step * axis[0].offset,
                    step * axis[0].step, extent}};
}

/// Rows that are scattered back into the order before a sort.
bool Tracer::stepScatter(onnx::ScatterNDOp op, IndexedValue &indexed) {
  RankedTensorType indices = getTensorType(op.getIndices());
  if (op.getReduction() != "none" || indices.getShape().back() != 1 ||
      indices.getRank() != 2)
    return false;
  onnx::TopKOp sort = getSort(op.getIndices());
  if (!sort)
    return false;
  int rows = addRows({sort.getIndices(), {indexed.axes[0]}});
  indexed.value = op.getUpdates();
  indexed.axes[0] = getWhole(rows);
  return true;
}

std::optional<Axis> Tracer::readIndex(const IndexedValue &index,
                                      int64_t extent) {
  if (std::optional<Axis> axis = readConstant(trace(index), extent))
    return axis;
  if (std::optional<Axis> axis = resolveRows(index))
    return axis;
  return enterRows(index);
}

bool Tracer::stepGather(Operation *op, IndexedValue &indexed) {
  Value data = op->getOperand(0), indices = op->getOperand(1);
  ArrayRef<int64_t> shape = getTensorType(data).getShape();
  int64_t indexRank = getTensorType(indices).getRank();
  IndexedValue source{data, {}};
  if (auto gather = dyn_cast<onnx::GatherOp>(op)) {
    int64_t dim = getAxisFromFront(gather.getAxis(), shape.size());
    ArrayRef<Axis> axes = indexed.axes;
    std::optional<Axis> place = readIndex(
        {indices, SmallVector<Axis>(axes.slice(dim, indexRank))}, shape[dim]);
    if (!place)
      return false;
    source.axes.assign(axes.begin(), axes.begin() + dim);
    source.axes.push_back(*place);
    source.axes.append(axes.begin() + dim + indexRank, axes.end());
  } else {
    auto gatherND = cast<onnx::GatherNDOp>(op);
    int64_t width = getTensorType(indices).getShape().back();
    if (gatherND.getBatchDims() != 0 || ShapedType::isDynamic(width))
      return false;
    ArrayRef<Axis> axes = indexed.axes;
    for (int64_t i = 0; i < width; ++i) {
      IndexedValue index{indices,
                         SmallVector<Axis>(axes.take_front(indexRank - 1))};
      index.axes.push_back(width == 1 ? Axis()
                                      : Axis{Digit{Digit::kNone, i, 1, width}});
      std::optional<Axis> place = readIndex(index, shape[i]);
      if (!place)
        return false;
      source.axes.push_back(*place);
    }
    source.axes.append(axes.begin() + indexRank - 1, axes.end());
  }
  indexed = std::move(source);
  return true;
}
