//===- Labels.h - what the dimensions of tensors mean -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A label is an index that runs through a loop, for example "the head". A
// dimension is a list of labels, the slowest first: heads and head size that
// were collapsed into one dimension are two labels. Labels fall into parts when
// a reshape shows that they are several.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_FUSE_ATTENTION_LABELS_H
#define PASSES_FUSE_ATTENTION_LABELS_H

#include "passes/fuse/attention/Extents.h"

namespace mlir::moe {

using Label = unsigned;
/// The labels of one dimension; none for an extent of 1.
using LabelList = SmallVector<Label, 4>;
/// The labels of a tensor.
using LabelLists = SmallVector<LabelList, 4>;

class LabelSet {
public:
  Label make(const Extent &extent);

  /// `list` with labels that fell apart replaced by their parts.
  LabelList flatten(ArrayRef<Label> list) const;

  /// Distributes `list` over dimensions of `tensor`.
  FailureOr<LabelLists> split(ArrayRef<Label> list, Value tensor,
                              ArrayRef<int64_t> dims);

  /// A dimension that has these labels if its extent is their product, which is
  /// likely, but not known.
  struct Assumption {
    Value tensor;
    int64_t dim;
    LabelList labels;
  };
  ArrayRef<Assumption> getAssumptions() const { return assumptions; }
  void assume(Value tensor, int64_t dim, const LabelList &list) {
    assumptions.push_back({tensor, dim, list});
  }
  void clearAssumptions() { assumptions.clear(); }

  /// Whether the label has a static extent, which is then `getExtent`.
  bool isStatic(Label label) const { return getExtent(label).isStatic(); }
  const Extent &getExtent(Label label) const {
    return entries[label].extents.front();
  }

  /// How often a label fell into parts.
  unsigned getSplits() const { return splits; }

private:
  struct Entry {
    /// Equal extents in terms of different tensors.
    SmallVector<Extent, 2> extents;
    SmallVector<Label, 2> parts;
  };

  void addExtent(Label label, const Extent &extent);
  /// Takes labels of the product `extent` from the front or the back of `list`.
  bool take(LabelList &list, const Extent &extent, bool fromBack,
            LabelList &taken);
  void splitLabel(Label label, ArrayRef<Extent> extents);
  FailureOr<LabelLists> guess(ArrayRef<Label> list, ArrayRef<Extent> extents);

  SmallVector<Entry> entries;
  SmallVector<Assumption> assumptions;
  unsigned splits = 0;
};

/// The source of a reshape, a transposition, a cast between shapes, or of an
/// element-wise operation that only copies, converts or scales a tensor.
struct LabelledSource {
  Value source;
  LabelLists labels;
  /// An f32 number that the elements are multiplied by, or a tensor of one, or
  /// null.
  Value factor;
};

/// One step from `tensor`, whose dimensions have `labels`, to what it is made
/// from; fails if that is something else.
FailureOr<LabelledSource> stepBack(LabelSet &set, Value tensor,
                                   const LabelLists &labels);

/// The labels of the loops of an element-wise or reducing operation whose
/// result has `labels`; dimensions that are reduced have none yet.
FailureOr<LabelLists> getLoopLabels(AffineMap resultMap,
                                    const LabelLists &labels);
/// The labels of an operand.
FailureOr<LabelLists> getOperandLabels(AffineMap map, const LabelLists &loops);

} // namespace mlir::moe

#endif // PASSES_FUSE_ATTENTION_LABELS_H
