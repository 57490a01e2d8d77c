//===- StridedReader.cpp - reads boxes of a strided view ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/StridedReader.h"

#include <algorithm>
#include <cstring>

using namespace mlir;
using namespace mlir::moe;

/// What one read of a file may take; larger runs are cut.
static constexpr int64_t kReadBytes = 1 << 20;
/// Columns that are turned into rows together: a cache line of f32.
static constexpr int64_t kTurnColumns = 16;

llvm::Error StridedReader::readRun(const WeightView &view, uint64_t offset,
                                   int64_t count, int64_t stride,
                                   char *target) {
  const int64_t size = getByteSize(view.element);
  const int64_t targetSize = getByteSize(element);
  ConvertFunction convert = getConversion(view.element, element);
  // Elements that are far apart are read one by one.
  const int64_t longest =
      stride == 0 ? count : std::max<int64_t>(1, kReadBytes / (size * stride));
  for (int64_t done = 0; done < count;) {
    int64_t part = std::min(longest, count - done);
    int64_t bytes = ((part - 1) * stride + 1) * size;
    raw.resize(std::max<size_t>(raw.size(), bytes));
    if (llvm::Error error =
            view.file->read(offset + done * stride * size, raw.data(), bytes))
      return error;
    convert(raw.data(), stride, target + done * targetSize, part);
    done += part;
  }
  return llvm::Error::success();
}

llvm::Error StridedReader::read(const WeightView &view, uint64_t offset,
                                int64_t countI, int64_t strideI, int64_t countJ,
                                int64_t strideJ, char *target,
                                int64_t targetStride) {
  if (countI == 0 || countJ == 0)
    return llvm::Error::success();
  if (countI > 1 && (strideI < strideJ || countJ == 1))
    return readTransposed(view, offset, countI, strideI, countJ, strideJ,
                          target, targetStride);
  // Rows that follow each other on both sides are one run.
  if (strideI == countJ * strideJ && targetStride == countJ)
    return readRun(view, offset, countI * countJ, strideJ, target);
  const int64_t size = getByteSize(view.element);
  const int64_t targetSize = getByteSize(element);
  for (int64_t i = 0; i < countI; ++i)
    if (llvm::Error error =
            readRun(view, offset + i * strideI * size, countJ, strideJ,
                    target + i * targetStride * targetSize))
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

llvm::Error StridedReader::readTransposed(const WeightView &view,
                                          uint64_t offset, int64_t countI,
                                          int64_t strideI, int64_t countJ,
                                          int64_t strideJ, char *target,
                                          int64_t targetStride) {
  const int64_t size = getByteSize(view.element);
  const int64_t targetSize = getByteSize(element);
  for (int64_t first = 0; first < countJ; first += kTurnColumns) {
    int64_t columns = std::min(kTurnColumns, countJ - first);
    turned.resize(
        std::max<size_t>(turned.size(), columns * countI * targetSize));
    for (int64_t j = 0; j < columns; ++j)
      if (llvm::Error error =
              readRun(view, offset + (first + j) * strideJ * size, countI,
                      strideI, turned.data() + j * countI * targetSize))
        return error;
    char *corner = target + first * targetSize;
    if (targetSize == 1)
      turn<uint8_t>(turned.data(), countI, columns, corner, targetStride);
    else if (targetSize == 2)
      turn<uint16_t>(turned.data(), countI, columns, corner, targetStride);
    else if (targetSize == 4)
      turn<uint32_t>(turned.data(), countI, columns, corner, targetStride);
    else
      turn<uint64_t>(turned.data(), countI, columns, corner, targetStride);
  }
  return llvm::Error::success();
}
