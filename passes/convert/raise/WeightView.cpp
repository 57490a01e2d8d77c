//===- WeightView.cpp - the algebra of strided weights ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/raise/WeightView.h"

#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/IR/Builders.h"

using namespace mlir;
using namespace mlir::moe;

std::optional<WeightView> WeightView::get(Value value) {
  auto op = value ? value.getDefiningOp<WeightOp>() : WeightOp();
  if (!op)
    return std::nullopt;
  auto type = cast<RankedTensorType>(op.getType());
  WeightView result;
  result.name = op.getName().str();
  for (Attribute view : op.getViews())
    result.views.push_back(cast<ViewAttr>(view));
  result.shape.assign(type.getShape().begin(), type.getShape().end());
  result.element = type.getElementType();
  return result;
}

ViewAttr WeightView::moved(ViewAttr view, int64_t elements,
                           ArrayRef<int64_t> strides) const {
  int64_t bytes =
      llvm::divideCeil(view.getElement().getIntOrFloatBitWidth(), 8);
  return ViewAttr::get(view.getContext(), view.getFile(),
                       view.getOffset() + elements * bytes, view.getElement(),
                       strides);
}

std::optional<WeightView>
WeightView::transpose(ArrayRef<int64_t> permutation) const {
  if (static_cast<int64_t>(permutation.size()) != getRank())
    return std::nullopt;
  // The first dimension of a stack is no stride.
  if (isStack() && permutation.front() != 0)
    return std::nullopt;
  WeightView result = *this;
  for (auto [i, source] : llvm::enumerate(permutation))
    result.shape[i] = shape[source];
  for (ViewAttr &view : result.views) {
    int64_t skipped = isStack();
    SmallVector<int64_t> strides;
    for (int64_t source : permutation.drop_front(skipped))
      strides.push_back(view.getStrides()[source - skipped]);
    view = moved(view, 0, strides);
  }
  return result;
}

std::optional<WeightView> WeightView::slice(int64_t dim, int64_t start,
                                            int64_t count, int64_t step) const {
  if (dim < 0 || dim >= getRank() || start < 0 || count < 1 ||
      start + (count - 1) * step >= shape[dim] ||
      start + (count - 1) * step < 0)
    return std::nullopt;
  WeightView result = *this;
  result.shape[dim] = count;
  if (isStack() && dim == 0) {
    result.views.clear();
    for (int64_t i = 0; i < count; ++i)
      result.views.push_back(views[start + i * step]);
    if (count == 1) {
      SmallVector<int64_t> strides(result.views.front().getStrides());
      strides.insert(strides.begin(), 0);
      result.views.front() = moved(result.views.front(), 0, strides);
    }
    return result;
  }
  int64_t own = dim - isStack();
  for (ViewAttr &view : result.views) {
    SmallVector<int64_t> strides(view.getStrides());
    int64_t distance = start * strides[own];
    strides[own] *= step;
    view = moved(view, distance, strides);
  }
  return result;
}

std::optional<WeightView> WeightView::select(int64_t dim, int64_t i) const {
  std::optional<WeightView> part = slice(dim, i, 1);
  if (!part)
    return std::nullopt;
  part->shape.erase(part->shape.begin() + dim);
  for (ViewAttr &view : part->views) {
    SmallVector<int64_t> strides(view.getStrides());
    strides.erase(strides.begin() + dim - part->isStack());
    view = moved(view, 0, strides);
  }
  return part;
}

/// The strides of `newShape` for the elements that `shape` and `strides`
/// describe in row-major order.
static std::optional<SmallVector<int64_t>>
reshapeStrides(ArrayRef<int64_t> shape, ArrayRef<int64_t> strides,
               ArrayRef<int64_t> newShape) {
  // Drop dimensions of extent 1, then join those that follow each other.
  SmallVector<std::pair<int64_t, int64_t>> runs; // (elements, last stride)
  for (auto [extent, stride] : llvm::zip_equal(shape, strides)) {
    if (extent == 1)
      continue;
    if (!runs.empty() && runs.back().second == stride * extent)
      runs.back() = {runs.back().first * extent, stride};
    else
      runs.push_back({extent, stride});
  }
  SmallVector<int64_t> result(newShape.size(), 0);
  // From the innermost dimension outwards, each must fit into one run.
  int64_t run = static_cast<int64_t>(runs.size()) - 1, used = 1;
  for (int64_t i = static_cast<int64_t>(newShape.size()) - 1; i >= 0; --i) {
    if (newShape[i] == 1) {
      result[i] = 0;
      continue;
    }
    if (run >= 0 && used == runs[run].first) {
      --run;
      used = 1;
    }
    if (run < 0 || runs[run].first % (used * newShape[i]) != 0)
      return std::nullopt;
    result[i] = runs[run].second * used;
    used *= newShape[i];
  }
  return result;
}

std::optional<WeightView>
WeightView::reshape(ArrayRef<int64_t> newShape) const {
  WeightView result = *this;
  result.shape.assign(newShape.begin(), newShape.end());
  ArrayRef<int64_t> from = shape, to = newShape;
  if (isStack()) {
    if (newShape.empty() || newShape.front() != shape.front())
      return std::nullopt;
    from = from.drop_front();
    to = to.drop_front();
  }
  if (computeProduct(from) != computeProduct(to))
    return std::nullopt;
  for (ViewAttr &view : result.views) {
    std::optional<SmallVector<int64_t>> strides =
        reshapeStrides(from, view.getStrides(), to);
    if (!strides)
      return std::nullopt;
    view = moved(view, 0, *strides);
  }
  return result;
}

std::optional<WeightView> WeightView::stack(ArrayRef<WeightView> parts) {
  if (parts.empty())
    return std::nullopt;
  const WeightView &first = parts.front();
  WeightView result = first;
  result.shape.insert(result.shape.begin(), parts.size());
  result.views.clear();
  for (const WeightView &part : parts) {
    if (part.isStack() || part.shape != first.shape ||
        part.element != first.element)
      return std::nullopt;
    result.views.push_back(part.views.front());
  }
  // Views at equal distances in one file are one view.
  int64_t bytes = llvm::divideCeil(
      first.views.front().getElement().getIntOrFloatBitWidth(), 8);
  int64_t distance = parts.size() > 1 ? result.views[1].getOffset() -
                                            result.views[0].getOffset()
                                      : 0;
  bool regular = distance % bytes == 0;
  for (size_t i = 1; i < parts.size(); ++i) {
    ViewAttr previous = result.views[i - 1], current = result.views[i];
    regular &= current.getOffset() - previous.getOffset() == distance &&
               current.getFile() == previous.getFile() &&
               current.getElement() == previous.getElement() &&
               current.getStrides() == previous.getStrides();
  }
  if (regular) {
    ViewAttr view = result.views.front();
    SmallVector<int64_t> strides(view.getStrides());
    strides.insert(strides.begin(), distance / bytes);
    result.views = {first.moved(view, 0, strides)};
  }
  return result;
}

Value WeightView::build(OpBuilder &builder, Location loc) const {
  SmallVector<Attribute> attributes(views.begin(), views.end());
  return WeightOp::create(builder, loc, RankedTensorType::get(shape, element),
                          builder.getStringAttr(name),
                          builder.getArrayAttr(attributes));
}
