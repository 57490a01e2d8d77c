//===- WeightPacker.h - writes weights as kernels read them ---------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

//
// Reads strided views of numbers in files, converts their element type and
// yields the bytes of a segment in order, with bounded memory: the files are
// read in runs along the dimension in which a view is densest, never mapped.
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_ARTIFACT_WEIGHTPACKER_H
#define COMPILER_ARTIFACT_WEIGHTPACKER_H

#include "compiler/Artifact/ElementConversion.h"

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"

#include <optional>
#include <string>
#include <vector>

namespace mlir::moe {

/// A file that holds weights, open for reading.
class WeightFile {
public:
  WeightFile() = default;
  ~WeightFile();
  WeightFile(const WeightFile &) = delete;
  WeightFile &operator=(const WeightFile &) = delete;

  llvm::Error open(const std::string &path);
  llvm::Error read(uint64_t offset, char *data, uint64_t bytes) const;
  uint64_t getBytes() const { return bytes; }
  const std::string &getPath() const { return path; }

private:
  std::string path;
  int descriptor = -1;
  uint64_t bytes = 0;
};

/// `#moe.view` with its file.
struct StoredView {
  const WeightFile *file;
  uint64_t offset;
  ElementKind element;
  std::vector<int64_t> strides;
  /// One for each stride, or none if all are 1.
  std::vector<int64_t> blocks;
  /// Inner views: each element is (stored - zero) * scales.
  std::vector<StoredView> scales;
  std::vector<StoredView> zeroPoints;
  float zeroPoint = 0;
  float scale = 1;
  /// Elements in the first byte before number 0.
  int64_t first = 0;

  int64_t getBlock(size_t dim) const {
    return blocks.empty() ? 1 : blocks[dim];
  }
  bool isQuantized() const {
    return !scales.empty() || !zeroPoints.empty() || zeroPoint != 0 ||
           scale != 1;
  }
};

/// One view of a whole tensor, or one for each entry of the first dimension.
using WeightSource = std::vector<StoredView>;

/// `#kern.quantized`.
struct QuantizedLayout {
  ElementKind numbers;
  int64_t group;
  ElementKind scales;
  bool zeroPoints;
};

/// `#kern.packed`.
struct PanelLayout {
  int64_t columns;
  int64_t depth;
  std::optional<QuantizedLayout> quantized = std::nullopt;
};

/// What a segment holds.
struct SegmentPlan {
  std::string name;
  /// Of each source.
  std::vector<int64_t> shape;
  ElementKind element;
  /// Row-major without it.
  std::optional<PanelLayout> layout;
  std::vector<WeightSource> sources;
};

/// The number of bytes that `packSegment` yields. Fails if the plan makes no
/// sense or a view leaves its file.
llvm::Expected<uint64_t> checkSegment(const SegmentPlan &plan);

/// Takes the next bytes of a segment.
using ByteSink = llvm::function_ref<llvm::Error(llvm::ArrayRef<char>)>;

/// Yields the bytes of a segment that `checkSegment` accepts.
llvm::Error packSegment(const SegmentPlan &plan, ByteSink sink);

} // namespace mlir::moe

#endif // COMPILER_ARTIFACT_WEIGHTPACKER_H
