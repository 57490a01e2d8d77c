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
  result.allowsByteRows = op->hasAttr(MoEDialect::kByteRowsAttr);
  return result;
}

std::optional<WeightView>
WeightView::transform(ArrayRef<int64_t> newShape,
                      function_ref<ViewAttr(ViewAttr)> change) const {
  WeightView result = *this;
  result.shape.assign(newShape.begin(), newShape.end());
  for (ViewAttr &view : result.views)
    if (!(view = view.transform(change)))
      return std::nullopt;
  return result;
}

/// The strides or the blocks of a view as a list that can change.
static SmallVector<int64_t> getBlocks(ViewAttr view) {
  if (view.getBlocks().empty())
    return SmallVector<int64_t>(view.getStrides().size(), 1);
  return SmallVector<int64_t>(view.getBlocks());
}

std::optional<WeightView>
WeightView::transpose(ArrayRef<int64_t> permutation) const {
  if (static_cast<int64_t>(permutation.size()) != getRank())
    return std::nullopt;
  // The first dimension of a stack is no stride.
  if (isStack() && permutation.front() != 0)
    return std::nullopt;
  int64_t skipped = isStack();
  return transform(applyPermutation(shape, permutation), [&](ViewAttr view) {
    SmallVector<int64_t> strides, blocks;
    for (int64_t source : permutation.drop_front(skipped)) {
      strides.push_back(view.getStrides()[source - skipped]);
      blocks.push_back(view.getBlock(source - skipped));
    }
    return view.move(0, strides, blocks);
  });
}

/// Entries start, start + step, ... of dimension `dim`, `count` of them.
static ViewAttr sliceView(ViewAttr view, int64_t dim, int64_t start,
                          int64_t count, int64_t step) {
  SmallVector<int64_t> strides(view.getStrides()), blocks = getBlocks(view);
  int64_t block = blocks[dim], within = start % block;
  int64_t distance = start / block * strides[dim];
  if (within + (count - 1) * step < block) {
    strides[dim] = 0;
    blocks[dim] = 1;
  } else if (within < step && block % step == 0) {
    blocks[dim] = block / step;
  } else if (within == 0 && step % block == 0) {
    strides[dim] *= step / block;
    blocks[dim] = 1;
  } else {
    return {};
  }
  return view.move(distance, strides, blocks);
}

std::optional<WeightView> WeightView::slice(int64_t dim, int64_t start,
                                            int64_t count, int64_t step) const {
  if (dim < 0 || dim >= getRank() || start < 0 || count < 1 ||
      start + (count - 1) * step >= shape[dim] ||
      start + (count - 1) * step < 0)
    return std::nullopt;
  SmallVector<int64_t> newShape(shape);
  newShape[dim] = count;
  if (!isStack() || dim > 0)
    return transform(newShape, [&](ViewAttr view) {
      return sliceView(view, dim - isStack(), start, count, step);
    });
  WeightView result = *this;
  result.shape = newShape;
  result.views.clear();
  for (int64_t i = 0; i < count; ++i)
    result.views.push_back(views[start + i * step]);
  if (count > 1)
    return result;
  return result.transform(newShape, [](ViewAttr view) {
    SmallVector<int64_t> strides(view.getStrides()), blocks = getBlocks(view);
    strides.insert(strides.begin(), 0);
    blocks.insert(blocks.begin(), 1);
    return view.move(0, strides, blocks);
  });
}

std::optional<WeightView> WeightView::select(int64_t dim, int64_t i) const {
  std::optional<WeightView> part = slice(dim, i, 1);
  if (!part)
    return std::nullopt;
  SmallVector<int64_t> newShape(part->shape);
  newShape.erase(newShape.begin() + dim);
  int64_t own = dim - part->isStack();
  return part->transform(newShape, [&](ViewAttr view) {
    SmallVector<int64_t> strides(view.getStrides()), blocks = getBlocks(view);
    strides.erase(strides.begin() + own);
    blocks.erase(blocks.begin() + own);
    return view.move(0, strides, blocks);
  });
}

/// A row of elements: number i is i / block * stride further on.
struct ElementRun {
  int64_t count, stride, block;
};

/// Joins dimensions that follow each other, without those of extent 1.
static SmallVector<ElementRun> joinDims(ArrayRef<int64_t> shape,
                                        ViewAttr view) {
  SmallVector<ElementRun> runs;
  for (auto [i, extent] : llvm::enumerate(shape)) {
    if (extent == 1)
      continue;
    ElementRun next{extent, view.getStrides()[i], view.getBlock(i)};
    if (!runs.empty() && runs.back().block == 1 && extent % next.block == 0 &&
        runs.back().stride == extent / next.block * next.stride)
      runs.back() = {runs.back().count * extent, next.stride, next.block};
    else
      runs.push_back(next);
  }
  return runs;
}

/// The view with the dimensions `newShape` for the elements that `shape` and
/// `view` describe in row-major order.
static ViewAttr reshapeView(ViewAttr view, ArrayRef<int64_t> shape,
                            ArrayRef<int64_t> newShape) {
  SmallVector<ElementRun> runs = joinDims(shape, view);
  SmallVector<int64_t> strides(newShape.size(), 0), blocks(newShape.size(), 1);
  // From the innermost dimension outwards, each must fit into one run.
  int64_t number = static_cast<int64_t>(runs.size()) - 1, used = 1;
  for (int64_t i = static_cast<int64_t>(newShape.size()) - 1; i >= 0; --i) {
    if (newShape[i] == 1)
      continue;
    if (number >= 0 && used == runs[number].count) {
      --number;
      used = 1;
    }
    if (number < 0 || runs[number].count % (used * newShape[i]) != 0)
      return {};
    const ElementRun &run = runs[number];
    int64_t next = used * newShape[i];
    if (used % run.block == 0) {
      strides[i] = run.stride * (used / run.block);
    } else if (run.block % used == 0 &&
               (next % run.block == 0 || run.block % next == 0)) {
      strides[i] = run.stride;
      blocks[i] = run.block / used;
    } else {
      return {};
    }
    used = next;
  }
  return view.move(0, strides, blocks);
}

std::optional<WeightView>
WeightView::reshape(ArrayRef<int64_t> newShape) const {
  ArrayRef<int64_t> from = shape, to = newShape;
  if (isStack()) {
    if (newShape.empty() || newShape.front() != shape.front())
      return std::nullopt;
    from = from.drop_front();
    to = to.drop_front();
  }
  if (computeProduct(from) != computeProduct(to))
    return std::nullopt;
  return transform(newShape,
                   [&](ViewAttr view) { return reshapeView(view, from, to); });
}

/// The bits from `first` to `second`, if they are places in one file.
static std::optional<int64_t> getDistance(ViewAttr first, ViewAttr second) {
  if (first.getFile() != second.getFile() ||
      first.getElement() != second.getElement() ||
      first.getStrides() != second.getStrides() ||
      first.getBlocks() != second.getBlocks())
    return std::nullopt;
  return (second.getOffset() - first.getOffset()) * 8 +
         (second.getFirst() - first.getFirst()) * first.getElementBits();
}

/// The views of an entry, itself first.
static SmallVector<ViewAttr> getPlaces(ViewAttr view) {
  SmallVector<ViewAttr> places = {view};
  llvm::append_range(places, view.getScales());
  if (view.getZeroPoints())
    places.push_back(view.getZeroPoints());
  return places;
}

/// One view of `entries`, which it finds along a new first dimension; null if
/// they do not lie at equal distances.
static ViewAttr joinViews(ArrayRef<ViewAttr> entries) {
  ViewAttr first = entries.front();
  SmallVector<ViewAttr> places = getPlaces(first);
  llvm::DenseMap<ViewAttr, int64_t> distances;
  for (size_t i = 1; i < entries.size(); ++i) {
    SmallVector<ViewAttr> previous = getPlaces(entries[i - 1]);
    SmallVector<ViewAttr> current = getPlaces(entries[i]);
    if (current.size() != places.size() ||
        entries[i].getZeroPoint() != first.getZeroPoint() ||
        entries[i].getScale() != first.getScale())
      return {};
    for (auto [place, from, to] : llvm::zip_equal(places, previous, current)) {
      std::optional<int64_t> distance = getDistance(from, to);
      int64_t bits = place.getElementBits();
      // Strides lead on, never back.
      if (!distance || *distance % bits != 0 || *distance < 0)
        return {};
      auto [known, isNew] = distances.try_emplace(place, *distance / bits);
      if (!isNew && known->second != *distance / bits)
        return {};
    }
  }
  return first.transform([&](ViewAttr view) {
    SmallVector<int64_t> strides(view.getStrides()), blocks = getBlocks(view);
    strides.insert(strides.begin(), distances.lookup(view));
    blocks.insert(blocks.begin(), 1);
    return view.move(0, strides, blocks);
  });
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
    result.allowsByteRows &= part.allowsByteRows;
  }
  if (ViewAttr joined = joinViews(result.views))
    result.views = {joined};
  return result;
}

Value WeightView::build(OpBuilder &builder, Location loc) const {
  SmallVector<Attribute> attributes(views.begin(), views.end());
  auto op = WeightOp::create(
      builder, loc, RankedTensorType::get(shape, element),
      builder.getStringAttr(name), builder.getArrayAttr(attributes));
  if (allowsByteRows)
    op->setAttr(MoEDialect::kByteRowsAttr, builder.getUnitAttr());
  return op;
}
