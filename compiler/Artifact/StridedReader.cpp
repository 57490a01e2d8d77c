//===- StridedReader.cpp - reads boxes of a strided view ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/StridedReader.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

/// What one read of a file may take; larger runs are cut.
static constexpr int64_t kReadBytes = 1 << 20;
/// Columns that are turned into rows together: a cache line of f32.
static constexpr int64_t kTurnColumns = 16;

StridedReader::Place StridedReader::getPlace(const StoredView &view,
                                             const WeightBox &box) {
  Place place{view.first, 0, 0};
  for (size_t dim = 0; dim < view.strides.size(); ++dim)
    place.first += box.start[dim] / view.getBlock(dim) * view.strides[dim];
  if (box.rowDim)
    place.rowStride = view.strides[*box.rowDim];
  if (box.columnDim)
    place.columnStride = view.strides[*box.columnDim];
  return place;
}

llvm::Error StridedReader::readRun(const StoredView &view, int64_t first,
                                   int64_t count, int64_t stride,
                                   ElementKind to, char *target) {
  const int64_t bits = getBitSize(view.element);
  const int64_t targetSize = getByteSize(to);
  const bool narrow = isNarrow(view.element);
  // Elements that are far apart are read one by one.
  const int64_t longest =
      stride == 0 ? count
                  : std::max<int64_t>(1, kReadBytes * 8 / (bits * stride));
  for (int64_t done = 0; done < count;) {
    int64_t part = std::min(longest, count - done);
    int64_t begin = (first + done * stride) * bits;
    int64_t end = begin + ((part - 1) * stride + 1) * bits;
    int64_t bytes = llvm::divideCeil(end, 8) - begin / 8;
    raw.resize(std::max<size_t>(raw.size(), bytes));
    if (llvm::Error error =
            view.file->read(view.offset + begin / 8, raw.data(), bytes))
      return error;
    char *place = target + done * targetSize;
    if (narrow) {
      widened.resize(std::max<size_t>(widened.size(), part));
      widenElements(view.element, raw.data(), begin % 8 / bits, stride,
                    widened.data(), part);
      getConversion(ElementKind::F32, to)(
          reinterpret_cast<const char *>(widened.data()), 1, place, part);
    } else {
      getConversion(view.element, to)(raw.data(), stride, place, part);
    }
    done += part;
  }
  return llvm::Error::success();
}

llvm::Error StridedReader::readPlain(const StoredView &view,
                                     const WeightBox &box, ElementKind to,
                                     char *target, int64_t targetStride) {
  const Place place = getPlace(view, box);
  const int64_t rows = box.rows, columns = box.columns;
  if (rows > 1 && (place.rowStride < place.columnStride || columns == 1))
    return readTransposed(view, place, rows, columns, to, target, targetStride);
  // Rows that follow each other on both sides are one run.
  if (place.rowStride == columns * place.columnStride &&
      targetStride == columns)
    return readRun(view, place.first, rows * columns, place.columnStride, to,
                   target);
  for (int64_t i = 0; i < rows; ++i)
    if (llvm::Error error = readRun(
            view, place.first + i * place.rowStride, columns,
            place.columnStride, to,
            target + i * targetStride * static_cast<int64_t>(getByteSize(to))))
      return error;
  return llvm::Error::success();
}

/// Writes column `j` of `columns` rows of `count` numbers each.
template <typename T>
static void turn(const char *rows, int64_t count, int64_t columns, char *target,
                 int64_t targetStride) {
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = 0; j < columns; ++j)
      std::memcpy(target + (i * targetStride + j) * sizeof(T),
                  rows + (j * count + i) * sizeof(T), sizeof(T));
}

llvm::Error StridedReader::readTransposed(const StoredView &view,
                                          const Place &place, int64_t rows,
                                          int64_t columns, ElementKind to,
                                          char *target, int64_t targetStride) {
  const int64_t targetSize = getByteSize(to);
  for (int64_t first = 0; first < columns; first += kTurnColumns) {
    int64_t count = std::min(kTurnColumns, columns - first);
    turned.resize(std::max<size_t>(turned.size(), count * rows * targetSize));
    for (int64_t j = 0; j < count; ++j)
      if (llvm::Error error = readRun(
              view, place.first + (first + j) * place.columnStride, rows,
              place.rowStride, to, turned.data() + j * rows * targetSize))
        return error;
    char *corner = target + first * targetSize;
    if (targetSize == 1)
      turn<uint8_t>(turned.data(), rows, count, corner, targetStride);
    else if (targetSize == 2)
      turn<uint16_t>(turned.data(), rows, count, corner, targetStride);
    else if (targetSize == 4)
      turn<uint32_t>(turned.data(), rows, count, corner, targetStride);
    else
      turn<uint64_t>(turned.data(), rows, count, corner, targetStride);
  }
  return llvm::Error::success();
}

/// The block of `view` in the dimension of a box.
static int64_t getBlock(const StoredView &view, std::optional<size_t> dim) {
  return dim ? view.getBlock(*dim) : 1;
}

/// Reads each block once and repeats it for the elements of a box.
llvm::Error StridedReader::readBlocks(const StoredView &view,
                                      const WeightBox &box,
                                      std::vector<float> &values) {
  const int64_t rowBlock = getBlock(view, box.rowDim);
  const int64_t columnBlock = getBlock(view, box.columnDim);
  const int64_t firstRow = box.rowDim ? box.start[*box.rowDim] : 0;
  const int64_t firstColumn = box.columnDim ? box.start[*box.columnDim] : 0;
  WeightBox blocks = box;
  blocks.rows = (firstRow + box.rows - 1) / rowBlock - firstRow / rowBlock + 1;
  blocks.columns = (firstColumn + box.columns - 1) / columnBlock -
                   firstColumn / columnBlock + 1;
  blockValues.resize(blocks.rows * blocks.columns);
  if (llvm::Error error = readPlain(
          view, blocks, ElementKind::F32,
          reinterpret_cast<char *>(blockValues.data()), blocks.columns))
    return error;
  values.resize(box.rows * box.columns);
  float *value = values.data();
  for (int64_t i = 0; i < box.rows; ++i) {
    const int64_t row = (firstRow + i) / rowBlock - firstRow / rowBlock;
    for (int64_t j = 0; j < box.columns; ++j) {
      int64_t column =
          (firstColumn + j) / columnBlock - firstColumn / columnBlock;
      *value++ = blockValues[row * blocks.columns + column];
    }
  }
  return llvm::Error::success();
}

llvm::Error StridedReader::readParts(const StoredView &view,
                                     const WeightBox &box,
                                     std::vector<float> &numbers,
                                     std::vector<float> &zeroPoints,
                                     std::vector<float> &scales) {
  if (llvm::Error error = readBlocks(view, box, numbers))
    return error;
  zeroPoints.assign(numbers.size(), view.zeroPoint);
  if (!view.zeroPoints.empty())
    if (llvm::Error error =
            readBlocks(view.zeroPoints.front(), box, zeroPoints))
      return error;
  scales.assign(numbers.size(), view.scale);
  for (const StoredView &scale : view.scales) {
    if (llvm::Error error = readBlocks(scale, box, innerFactors))
      return error;
    for (size_t i = 0; i < scales.size(); ++i)
      scales[i] *= innerFactors[i];
  }
  return llvm::Error::success();
}

llvm::Error StridedReader::read(const StoredView &view, const WeightBox &box,
                                char *target, int64_t targetStride) {
  if (box.rows == 0 || box.columns == 0)
    return llvm::Error::success();
  if (!view.isQuantized() && view.blocks.empty())
    return readPlain(view, box, element, target, targetStride);
  if (llvm::Error error = readParts(view, box, dequantized, zeros, factors))
    return error;
  for (size_t i = 0; i < dequantized.size(); ++i)
    dequantized[i] = (dequantized[i] - zeros[i]) * factors[i];
  const ConvertFunction convert = getConversion(ElementKind::F32, element);
  for (int64_t i = 0; i < box.rows; ++i)
    convert(
        reinterpret_cast<const char *>(dequantized.data() + i * box.columns), 1,
        target + i * targetStride * static_cast<int64_t>(getByteSize(element)),
        box.columns);
  return llvm::Error::success();
}
