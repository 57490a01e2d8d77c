//===- WeightPacker.cpp - writes weights as kernels read them -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/WeightPacker.h"

#include "compiler/Artifact/StridedReader.h"

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
static llvm::Error checkView(const SegmentPlan &plan, const WeightView &view,
                             llvm::ArrayRef<int64_t> shape) {
  if (view.strides.size() != shape.size())
    return invalid(plan, "expected " + std::to_string(shape.size()) +
                             " strides, got " +
                             std::to_string(view.strides.size()));
  std::optional<int64_t> last = 0;
  for (auto [extent, stride] : llvm::zip_equal(shape, view.strides)) {
    if (stride < 0)
      return invalid(plan, "expected strides of at least 0, got " +
                               std::to_string(stride));
    if (extent == 0)
      return llvm::Error::success();
    last = llvm::checkedMulAdd(extent - 1, stride, last.value_or(0));
    if (!last)
      break;
  }
  int64_t size = getByteSize(view.element);
  std::optional<int64_t> end;
  if (last && view.offset <= INT64_MAX)
    if (auto elements = llvm::checkedAdd<int64_t>(*last, 1))
      end = llvm::checkedMulAdd<int64_t>(*elements, size, view.offset);
  if (!end || static_cast<uint64_t>(*end) > view.file->getBytes())
    return invalid(plan, "expected its numbers within the " +
                             std::to_string(view.file->getBytes()) +
                             " bytes of '" + view.file->getPath() +
                             "', got a view at offset " +
                             std::to_string(view.offset) + " that " +
                             (end ? "ends at " + std::to_string(*end)
                                  : std::string("exceeds 64 bits")));
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
  for (const WeightView &view : source)
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
    rows = llvm::alignTo(rows, plan.layout->depth);
    columns = llvm::alignTo(columns, plan.layout->columns);
    physical.push_back(plan.sources.size());
  }
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

/// The first element of entry `entry` of the leading dimension of a source, and
/// the strides below that dimension.
struct Entry {
  const WeightView *view;
  uint64_t offset;
  llvm::ArrayRef<int64_t> strides;
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
  llvm::Error packRowMajor(const WeightView &view, uint64_t offset,
                           llvm::ArrayRef<int64_t> shape,
                           llvm::ArrayRef<int64_t> strides);
  llvm::Error packMatrix(llvm::ArrayRef<Entry> matrices);
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
  if (source.size() > 1) {
    const WeightView &view = source[entry];
    return {&view, view.offset, view.strides};
  }
  const WeightView &view = source.front();
  return {&view,
          view.offset + entry * view.strides.front() *
                            static_cast<int64_t>(getByteSize(view.element)),
          llvm::ArrayRef(view.strides).drop_front()};
}

llvm::Error Packer::packRowMajor() {
  const WeightSource &source = plan.sources.front();
  llvm::ArrayRef<int64_t> shape = plan.shape;
  if (source.size() == 1)
    return packRowMajor(source.front(), source.front().offset, shape,
                        source.front().strides);
  for (int64_t i = 0; i < shape.front(); ++i) {
    Entry entry = getEntry(source, i);
    if (llvm::Error error = packRowMajor(*entry.view, entry.offset,
                                         shape.drop_front(), entry.strides))
      return error;
  }
  return llvm::Error::success();
}

llvm::Error Packer::packRowMajor(const WeightView &view, uint64_t offset,
                                 llvm::ArrayRef<int64_t> shape,
                                 llvm::ArrayRef<int64_t> strides) {
  if (shape.size() > 2) {
    int64_t step = strides.front() * getByteSize(view.element);
    for (int64_t i = 0; i < shape.front(); ++i)
      if (llvm::Error error =
              packRowMajor(view, offset + i * step, shape.drop_front(),
                           strides.drop_front()))
        return error;
    return llvm::Error::success();
  }
  int64_t columns = shape.empty() ? 1 : shape.back();
  int64_t columnStride = strides.empty() ? 1 : strides.back();
  int64_t rows = shape.size() < 2 ? 1 : shape.front();
  int64_t rowStride = strides.size() < 2 ? 0 : strides.front();
  if (rows == 1 || (rowStride == columns * columnStride)) {
    // One long row; as several shorter ones it is read in pieces.
    columns *= rows;
    rows = 1;
  }
  int64_t columnStep = std::min(columns, kPieceBytes / elementBytes);
  int64_t rowStep = std::max<int64_t>(
      1, kPieceBytes / std::max<int64_t>(1, columns * elementBytes));
  int64_t size = getByteSize(view.element);
  for (int64_t i = 0; i < rows; i += rowStep)
    for (int64_t j = 0; j < columns; j += columnStep) {
      int64_t rowCount = std::min(rowStep, rows - i);
      int64_t columnCount = std::min(columnStep, columns - j);
      packed.resize(rowCount * columnCount * elementBytes);
      uint64_t corner = offset + (i * rowStride + j * columnStride) * size;
      if (llvm::Error error =
              reader.read(view, corner, rowCount, rowStride, columnCount,
                          columnStride, packed.data(), columnCount))
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
      const WeightView &view = source.front();
      matrices.push_back(plan.shape.size() == 3
                             ? getEntry(source, i)
                             : Entry{&view, view.offset, view.strides});
    }
    if (llvm::Error error = packMatrix(matrices))
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
    int64_t rowStride = matrix.strides[0], columnStride = matrix.strides[1];
    uint64_t corner =
        matrix.offset +
        (firstRow * rowStride + firstColumn * columnStride) *
            static_cast<int64_t>(getByteSize(matrix.view->element));
    if (llvm::Error error =
            reader.read(*matrix.view, corner, rowCount, rowStride, columnCount,
                        columnStride, box.data(), columnCount))
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
