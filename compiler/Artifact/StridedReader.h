//===- StridedReader.h - reads boxes of a view ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_ARTIFACT_STRIDEDREADER_H
#define COMPILER_ARTIFACT_STRIDEDREADER_H

#include "compiler/Artifact/WeightPacker.h"

namespace mlir::moe {

/// A two-dimensional part of a view.
struct WeightBox {
  /// The indices of its first element.
  std::vector<int64_t> start;
  /// The dimensions in which its rows and columns lie; without a dimension
  /// there is one row, or one column.
  std::optional<size_t> rowDim, columnDim;
  int64_t rows = 1, columns = 1;
};

/// Reads boxes of a view and converts them to one kind of element.
class StridedReader {
public:
  explicit StridedReader(ElementKind element) : element(element) {}

  /// Writes element (i, j) of the box to `target` at element
  /// `i * targetStride + j`.
  llvm::Error read(const StoredView &view, const WeightBox &box, char *target,
                   int64_t targetStride);

  /// Reads what a quantised view is computed from; all rows of the box lie
  /// side by side.
  llvm::Error readParts(const StoredView &view, const WeightBox &box,
                        std::vector<float> &numbers,
                        std::vector<float> &zeroPoints,
                        std::vector<float> &scales);

private:
  /// Where the elements of a box are stored, in elements.
  struct Place {
    int64_t first, rowStride, columnStride;
  };
  static Place getPlace(const StoredView &view, const WeightBox &box);

  llvm::Error readPlain(const StoredView &view, const WeightBox &box,
                        ElementKind to, char *target, int64_t targetStride);
  llvm::Error readRun(const StoredView &view, int64_t first, int64_t count,
                      int64_t stride, ElementKind to, char *target);
  llvm::Error readTransposed(const StoredView &view, const Place &place,
                             int64_t rows, int64_t columns, ElementKind to,
                             char *target, int64_t targetStride);
  llvm::Error readBlocks(const StoredView &view, const WeightBox &box,
                         std::vector<float> &values);

  ElementKind element;
  std::vector<char> raw;
  std::vector<char> turned;
  std::vector<float> widened;
  std::vector<float> dequantized, zeros, factors, innerFactors, blockValues;
};

} // namespace mlir::moe

#endif // COMPILER_ARTIFACT_STRIDEDREADER_H
