//===- Segments.h - what the weights section of an artifact holds ---------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_ARTIFACT_SEGMENTS_H
#define COMPILER_ARTIFACT_SEGMENTS_H

#include "compiler/Artifact/WeightPacker.h"

#include "dialects/kern/KernDialect.h"
#include "llvm/ADT/StringMap.h"

#include <memory>

namespace mlir::moe {

/// A `kern.segment` whose files are open and whose views have been checked.
struct Segment {
  kern::SegmentOp op;
  SegmentPlan plan;
  uint64_t offset;
  uint64_t bytes;
};

/// The weights section, in the order of offsets.
class SegmentTable {
public:
  /// Collects the segments of a module. Relative files are looked up in
  /// `folder`. Emits an error at the segment that is wrong.
  LogicalResult collect(ModuleOp module, StringRef folder);

  ArrayRef<Segment> getSegments() const { return segments; }
  /// The size of the section.
  uint64_t getBytes() const;

private:
  FailureOr<Segment> makeSegment(kern::SegmentOp op, StringRef folder);
  FailureOr<StoredView> makeView(kern::SegmentOp op, ViewAttr view,
                                 StringRef folder);
  LogicalResult addSource(kern::SegmentOp op, ArrayAttr views, StringRef folder,
                          SegmentPlan &plan);
  const WeightFile *openFile(kern::SegmentOp op, StringRef name,
                             StringRef folder);

  llvm::StringMap<std::unique_ptr<WeightFile>> files;
  std::vector<Segment> segments;
};

} // namespace mlir::moe

#endif // COMPILER_ARTIFACT_SEGMENTS_H
