//===- StridedReader.h - reads boxes of a strided view --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_ARTIFACT_STRIDEDREADER_H
#define COMPILER_ARTIFACT_STRIDEDREADER_H

#include "compiler/Artifact/WeightPacker.h"

namespace mlir::moe {

/// Reads two-dimensional boxes of a view and converts them.
class StridedReader {
public:
  explicit StridedReader(ElementKind element) : element(element) {}

  /// Writes element (i, j) of the box to `target` at element
  /// `i * targetStride + j`, where (i, j) lies at byte `offset` of the file
  /// plus `i * strideI + j * strideJ` elements.
  llvm::Error read(const WeightView &view, uint64_t offset, int64_t countI,
                   int64_t strideI, int64_t countJ, int64_t strideJ,
                   char *target, int64_t targetStride);

private:
  llvm::Error readRun(const WeightView &view, uint64_t offset, int64_t count,
                      int64_t stride, char *target);
  llvm::Error readTransposed(const WeightView &view, uint64_t offset,
                             int64_t countI, int64_t strideI, int64_t countJ,
                             int64_t strideJ, char *target,
                             int64_t targetStride);

  ElementKind element;
  std::vector<char> raw;
  std::vector<char> turned;
};

} // namespace mlir::moe

#endif // COMPILER_ARTIFACT_STRIDEDREADER_H
