//===- WeightPacker.cpp - writes weights as kernels read them -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/WeightPacker.h"

#include "compiler/Artifact/QuantizedPanels.h"

#include "llvm/Support/CheckedArithmetic.h"
#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

/// The size of the pieces that the sink gets, but for larger panels.
static constexpr int64_t kPieceBytes = 4 << 20;

static llvm::Error invalid(const SegmentPlan &plan, const std::string &what) {
  return llvm::createStringError("weight '" + plan.name + "': " + what);
}

//===----------------------------------------------------------------------===//
// Checks
//===----------------------------------------------------------------------===//

/// Checks that the elements of a view of this shape lie in its file.
static llvm::Error checkView(const SegmentPlan &plan, const StoredView &view,
                             llvm::ArrayRef<int64_t> shape) {
  if (view.strides.size() != shape.size())
    return invalid(plan, "expected " + std::to_string(shape.size()) +
                             " strides, got " +
                             std::to_string(view.strides.size()));
  std::optional<int64_t> last = view.first;
  for (auto [dim, stride] : llvm::enumerate(view.strides)) {
    if (stride < 0)
      return invalid(plan, "expected strides of at least 0, got " +
                               std::to_string(stride));
    if (shape[dim] == 0)
      return llvm::Error::success();
    last = llvm::checkedMulAdd((shape[dim] - 1) / view.getBlock(dim), stride,
                               last.value_or(0));
    if (!last)
      break;
  }
  std::optional<int64_t> end;
  if (last && view.offset <= INT64_MAX)
    if (auto elements = llvm::checkedAdd<int64_t>(*last, 1))
      if (auto bits =
              llvm::checkedMul<int64_t>(*elements, getBitSize(view.element)))
        end =
            llvm::checkedAdd<int64_t>(llvm::divideCeil(*bits, 8), view.offset);
  if (!end || static_cast<uint64_t>(*end) > view.file->getBytes())
    return invalid(plan, "expected its numbers within the " +
                             std::to_string(view.file->getBytes()) +
                             " bytes of '" + view.file->getPath() +
                             "', got a view at offset " +
                             std::to_string(view.offset) + " that " +
                             (end ? "ends at " + std::to_string(*end)
                                  : std::string("exceeds 64 bits")));
  for (const auto &inner : {view.scales, view.zeroPoints})
    for (const StoredView &part : inner)
      if (llvm::Error error = checkView(plan, part, shape))
        return error;
  return llvm::Error::success();
}

static llvm::Error checkSource(const SegmentPlan &plan,
                               const WeightSource &source) {
  llvm::ArrayRef<int64_t> shape = plan.shape;
  if (source.size() == 1)
    return checkView(plan, source.front(), shape);
  if (shape.empty() || static_cast<int64_t>(source.size()) != shape.front())
    return invalid(plan, "expected one view or one for each entry of the "
                         "first dimension, got " +
                             std::to_string(source.size()));
  for (const StoredView &view : source)
    if (llvm::Error error = checkView(plan, view, shape.drop_front()))
      return error;
  return llvm::Error::success();
}

llvm::Expected<uint64_t> moe::checkSegment(const SegmentPlan &plan) {
  if (plan.sources.empty() || (!plan.layout && plan.sources.size() != 1))
    return invalid(plan, "expected one source, got " +
                             std::to_string(plan.sources.size()));
  for (int64_t extent : plan.shape)
    if (extent < 0)
      return invalid(plan, "expected extents of at least 0, got " +
                               std::to_string(extent));
  std::vector<int64_t> physical = plan.shape;
  if (plan.layout) {
    if (plan.shape.size() != 2 && plan.shape.size() != 3)
      return invalid(plan, "expected a matrix or a stack of matrices, got "
                           "rank " +
                               std::to_string(plan.shape.size()));
    if (plan.layout->columns <= 0 || plan.layout->depth <= 0)
      return invalid(plan, "expected a positive number of columns and depth");
    int64_t &rows = physical[physical.size() - 2];
    int64_t &columns = physical[physical.size() - 1];
    if (const auto &quantized = plan.layout->quantized) {
      if (quantized->group <= 0 || quantized->group % plan.layout->depth != 0 ||
          getByteSize(plan.element) != 1)
        return invalid(plan, "expected bytes in whole groups of rows");
      // Bytes of a panel by its number of panels.
      rows = llvm::divideCeil(rows, quantized->group) *
             getGroupBytes(*plan.layout);
      columns = llvm::divideCeil(columns, plan.layout->columns);
    } else {
      rows = llvm::alignTo(rows, plan.layout->depth);
      columns = llvm::alignTo(columns, plan.layout->columns);
    }
    physical.push_back(plan.sources.size());
  }
  if (isNarrow(plan.element))
    return invalid(plan, "expected elements of whole bytes");
  std::optional<int64_t> bytes = getByteSize(plan.element);
  for (int64_t extent : physical)
    if (bytes)
      bytes = llvm::checkedMul(*bytes, extent);
  if (!bytes)
    return invalid(plan, "its size exceeds 64 bits");
  for (const WeightSource &source : plan.sources)
    if (llvm::Error error = checkSource(plan, source))
      return error;
  return static_cast<uint64_t>(*bytes);
}

//===----------------------------------------------------------------------===//
// Packing
//===----------------------------------------------------------------------===//

namespace {

/// A matrix, or what is left of a source, with the indices that are fixed.
struct Entry {
  const StoredView *view;
  std::vector<int64_t> indices;

  /// The box that begins at the entry, with room for `dims` more indices.
  WeightBox getBox(size_t dims) const {
    WeightBox box;
    box.start = indices;
    box.start.resize(indices.size() + dims, 0);
    return box;
  }
};

class Packer {
public:
  Packer(const SegmentPlan &plan, ByteSink sink)
      : plan(plan), sink(sink), reader(plan.element),
        elementBytes(getByteSize(plan.element)) {}

  llvm::Error packRowMajor();
  llvm::Error packPanels();

private:
  static Entry getEntry(const WeightSource &source, int64_t entry);
  llvm::Error packRowMajor(const Entry &entry, llvm::ArrayRef<int64_t> shape);
  llvm::Error packMatrix(llvm::ArrayRef<Entry> matrices);
  llvm::Error packQuantized(llvm::ArrayRef<Entry> matrices);
  llvm::Error packBox(llvm::ArrayRef<Entry> matrices, int64_t firstPanel,
                      int64_t panelCount, int64_t firstRow, int64_t rowCount);
  void scatter(const char *box, int64_t rows, int64_t columns, char *target,
               int64_t panelStride);

  const SegmentPlan &plan;
  ByteSink sink;
  StridedReader reader;
  const int64_t elementBytes;
  std::vector<char> box;
  std::vector<char> packed;
};

} // namespace

Entry Packer::getEntry(const WeightSource &source, int64_t entry) {
  if (source.size() > 1)
    return {&source[entry], {}};
  return {&source.front(), {entry}};
}

llvm::Error Packer::packRowMajor() {
  const WeightSource &source = plan.sources.front();
  llvm::ArrayRef<int64_t> shape = plan.shape;
  if (source.size() == 1)
    return packRowMajor({&source.front(), {}}, shape);
  for (int64_t i = 0; i < shape.front(); ++i)
    if (llvm::Error error =
            packRowMajor(getEntry(source, i), shape.drop_front()))
      return error;
  return llvm::Error::success();
}

llvm::Error Packer::packRowMajor(const Entry &entry,
                                 llvm::ArrayRef<int64_t> shape) {
  if (shape.size() > 2) {
    Entry part = entry;
    part.indices.push_back(0);
    for (int64_t i = 0; i < shape.front(); ++i) {
      part.indices.back() = i;
      if (llvm::Error error = packRowMajor(part, shape.drop_front()))
        return error;
    }
    return llvm::Error::success();
  }
  int64_t columns = shape.empty() ? 1 : shape.back();
  int64_t rows = shape.size() < 2 ? 1 : shape.front();
  int64_t columnStep = std::min(columns, kPieceBytes / elementBytes);
  int64_t rowStep = std::max<int64_t>(
      1, kPieceBytes / std::max<int64_t>(1, columns * elementBytes));
  WeightBox part = entry.getBox(shape.size());
  if (!shape.empty())
    part.columnDim = part.start.size() - 1;
  if (shape.size() == 2)
    part.rowDim = part.start.size() - 2;
  for (int64_t i = 0; i < rows; i += rowStep)
    for (int64_t j = 0; j < columns; j += columnStep) {
      part.rows = std::min(rowStep, rows - i);
      part.columns = std::min(columnStep, columns - j);
      if (part.rowDim)
        part.start[*part.rowDim] = i;
      if (part.columnDim)
        part.start[*part.columnDim] = j;
      packed.resize(part.rows * part.columns * elementBytes);
      if (llvm::Error error =
              reader.read(*entry.view, part, packed.data(), part.columns))
        return error;
      if (llvm::Error error = sink(packed))
        return error;
    }
  return llvm::Error::success();
}

llvm::Error Packer::packPanels() {
  int64_t stack = plan.shape.size() == 3 ? plan.shape.front() : 1;
  for (int64_t i = 0; i < stack; ++i) {
    std::vector<Entry> matrices;
    for (const WeightSource &source : plan.sources) {
      matrices.push_back(plan.shape.size() == 3 ? getEntry(source, i)
                                                : Entry{&source.front(), {}});
    }
    if (llvm::Error error = plan.layout->quantized ? packQuantized(matrices)
                                                   : packMatrix(matrices))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error Packer::packMatrix(llvm::ArrayRef<Entry> matrices) {
  int64_t rows = plan.shape[plan.shape.size() - 2];
  int64_t panels = llvm::divideCeil(plan.shape.back(), plan.layout->columns);
  if (rows == 0)
    return llvm::Error::success();
  int64_t groupBytes = plan.layout->columns * plan.layout->depth * elementBytes;
  int64_t groups = llvm::divideCeil(rows, plan.layout->depth);
  int64_t panelBytes =
      groups * groupBytes * static_cast<int64_t>(matrices.size());
  int64_t panelStep = std::max<int64_t>(1, kPieceBytes / panelBytes);
  // The panels of several sources alternate, so they are packed whole.
  int64_t groupStep = matrices.size() > 1
                          ? groups
                          : std::max<int64_t>(1, kPieceBytes / groupBytes);
  for (int64_t panel = 0; panel < panels; panel += panelStep)
    for (int64_t group = 0; group < groups; group += groupStep) {
      int64_t firstRow = group * plan.layout->depth;
      int64_t rowCount =
          std::min(groupStep * plan.layout->depth, rows - firstRow);
      if (llvm::Error error =
              packBox(matrices, panel, std::min(panelStep, panels - panel),
                      firstRow, rowCount))
        return error;
    }
  return llvm::Error::success();
}

llvm::Error Packer::packQuantized(llvm::ArrayRef<Entry> matrices) {
  const int64_t rows = plan.shape[plan.shape.size() - 2];
  const int64_t width = plan.layout->columns, sources = matrices.size();
  const int64_t panels = llvm::divideCeil(plan.shape.back(), width);
  const int64_t panelBytes =
      llvm::divideCeil(rows, plan.layout->quantized->group) *
      getGroupBytes(*plan.layout);
  // Numbers are floats on their way.
  const int64_t step = std::max<int64_t>(
      1, kPieceBytes / std::max<int64_t>(1, rows * width * 4));
  QuantizedPanels quantized(*plan.layout);
  for (int64_t panel = 0; panel < panels; panel += step) {
    int64_t count = std::min(step, panels - panel);
    packed.assign(count * sources * panelBytes, 0);
    for (auto [index, matrix] : llvm::enumerate(matrices)) {
      WeightBox part = matrix.getBox(2);
      part.rowDim = part.start.size() - 2;
      part.columnDim = part.start.size() - 1;
      part.start[*part.columnDim] = panel * width;
      part.rows = rows;
      part.columns = std::min(count * width, plan.shape.back() - panel * width);
      if (llvm::Error error = quantized.pack(*matrix.view, part,
                                             packed.data() + index * panelBytes,
                                             sources * panelBytes))
        return error;
    }
    if (llvm::Error error = sink(packed))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error Packer::packBox(llvm::ArrayRef<Entry> matrices, int64_t firstPanel,
                            int64_t panelCount, int64_t firstRow,
                            int64_t rowCount) {
  int64_t columns = plan.layout->columns, depth = plan.layout->depth;
  int64_t firstColumn = firstPanel * columns;
  int64_t columnCount =
      std::min(panelCount * columns, plan.shape.back() - firstColumn);
  int64_t panelBytes =
      llvm::divideCeil(rowCount, depth) * depth * columns * elementBytes;
  int64_t sources = matrices.size();
  // Zeros fill the last panel and the last group of rows.
  packed.assign(panelCount * sources * panelBytes, 0);
  box.resize(rowCount * columnCount * elementBytes);
  for (auto [index, matrix] : llvm::enumerate(matrices)) {
    WeightBox part = matrix.getBox(2);
    part.rowDim = part.start.size() - 2;
    part.columnDim = part.start.size() - 1;
    part.start[*part.rowDim] = firstRow;
    part.start[*part.columnDim] = firstColumn;
    part.rows = rowCount;
    part.columns = columnCount;
    if (llvm::Error error =
            reader.read(*matrix.view, part, box.data(), columnCount))
      return error;
    scatter(box.data(), rowCount, columnCount,
            packed.data() + index * panelBytes, sources * panelBytes);
  }
  return sink(packed);
}

template <typename T>
static void scatterRow(const char *row, char *target, int64_t count,
                       int64_t depth) {
  for (int64_t column = 0; column < count; ++column)
    std::memcpy(target + column * depth * sizeof(T), row + column * sizeof(T),
                sizeof(T));
}

void Packer::scatter(const char *source, int64_t rows, int64_t columns,
                     char *target, int64_t panelStride) {
  int64_t width = plan.layout->columns, depth = plan.layout->depth;
  for (int64_t first = 0; first < columns;
       first += width, target += panelStride) {
    int64_t count = std::min(width, columns - first);
    for (int64_t row = 0; row < rows; ++row) {
      const char *from = source + (row * columns + first) * elementBytes;
      char *to =
          target + (row / depth * width * depth + row % depth) * elementBytes;
      if (depth == 1)
        std::memcpy(to, from, count * elementBytes);
      else if (elementBytes == 1)
        scatterRow<uint8_t>(from, to, count, depth);
      else if (elementBytes == 2)
        scatterRow<uint16_t>(from, to, count, depth);
      else if (elementBytes == 4)
        scatterRow<uint32_t>(from, to, count, depth);
      else
        scatterRow<uint64_t>(from, to, count, depth);
    }
  }
}

llvm::Error moe::packSegment(const SegmentPlan &plan, ByteSink sink) {
  Packer packer(plan, sink);
  return plan.layout ? packer.packPanels() : packer.packRowMajor();
}
