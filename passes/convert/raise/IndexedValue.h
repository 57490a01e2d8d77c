//===- IndexedValue.h - values with named indices ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Exporters write one sum in many ways: with reshapes, transpositions, slices,
// broadcasts, gathers. Recognition names the indices of the result once and
// follows them down the data flow: y[t, h] reads x[t, i] and w[i, h], whatever
// moved in between. An index of a stored dimension is a number in mixed radix,
// so that joined, split and sliced dimensions are known by the same labels.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_INDEXEDVALUE_H
#define PASSES_CONVERT_RAISE_INDEXEDVALUE_H

#include "passes/convert/raise/DataFlow.h"

#include <deque>

namespace mlir::moe {

/// A digit of an index: offset + step * label, below radix.
struct Digit {
  static constexpr int kNone = -1;

  /// The label that the digit counts with, or none for a constant.
  int label = kNone;
  int64_t offset = 0, step = 1;
  /// May be dynamic where the digit is a whole label.
  int64_t radix = 1;

  bool isConstant() const { return label == kNone; }
  bool operator==(const Digit &other) const {
    return label == other.label && offset == other.offset &&
           step == other.step && radix == other.radix;
  }
};

/// The index of a dimension, most significant digit first; empty for the only
/// entry of a dimension of extent 1.
using Axis = SmallVector<Digit, 2>;

/// `value` at an index for each of its dimensions.
struct IndexedValue {
  Value value;
  SmallVector<Axis> axes;

  explicit operator bool() const { return static_cast<bool>(value); }
  bool operator==(const IndexedValue &other) const {
    return value == other.value && axes == other.axes;
  }
  bool dependsOn(int label) const;
  /// The labels in the order of the dimensions.
  SmallVector<int> getLabels() const;
  /// The label that is the whole index of dimension `i`, or none.
  int getLabel(int64_t i) const;
  void replace(int label, const Digit &digit);
};

/// A list of rows that the graph computes: all assignments in another order, or
/// those that a mask chooses.
struct RowSpace {
  /// The indices of a TopK that sorts, or a NonZero.
  Value list;
  /// What a row stands for: the index into what was sorted, or one index for
  /// each dimension of the mask.
  SmallVector<Axis> places;
};

/// Follows labels from results to operands.
class Tracer {
public:
  /// A new label that counts to `extent`.
  int addLabel(int64_t extent);
  int64_t getExtent(int label) const { return labels[label].extent; }
  const RowSpace *getRows(int label) const { return labels[label].rows; }

  Axis getWhole(int label) const {
    return {Digit{label, 0, 1, getExtent(label)}};
  }
  /// `value` with a new label for each dimension.
  IndexedValue addLabels(Value value);

  /// `indexed` before everything that only moves data or converts a type.
  IndexedValue trace(IndexedValue indexed);

  /// The index of an operand that is broadcast to a result.
  std::optional<IndexedValue> getOperand(Value operand,
                                         const IndexedValue &result) const;
  /// The axes of a tensor of `shape` whose elements are those of `axes`, in
  /// order.
  std::optional<SmallVector<Axis>> regroup(ArrayRef<Axis> axes,
                                           ArrayRef<int64_t> shape) const;
  /// The place in a dimension of `extent` that the entry `index` of indices
  /// reads, where that does not hang on numbers known only at run time.
  std::optional<Axis> readIndex(const IndexedValue &index, int64_t extent);
  /// A label for the rows of `space`.
  int addRows(RowSpace space);

private:
  struct Label {
    int64_t extent;
    const RowSpace *rows = nullptr;
  };

  bool step(IndexedValue &indexed);
  bool stepSlice(onnx::SliceOp op, IndexedValue &indexed);
  bool stepSplit(onnx::SplitOp op, IndexedValue &indexed);
  bool stepConcat(onnx::ConcatOp op, IndexedValue &indexed);
  bool stepTile(onnx::TileOp op, IndexedValue &indexed);
  bool stepGather(Operation *op, IndexedValue &indexed);
  bool stepScatter(onnx::ScatterNDOp op, IndexedValue &indexed);
  std::optional<Axis> resolveRows(const IndexedValue &index);
  std::optional<Axis> enterRows(const IndexedValue &index);

  bool popDigits(SmallVectorImpl<Digit> &digits, int64_t extent, bool fromBack,
                 bool isLast, Axis &axis) const;

  SmallVector<Label> labels;
  std::deque<RowSpace> spaces;
};

/// `indexed` as a matrix: all `rows` in order, then `column` (or one column).
/// Builds the movement of data that this takes; fails where a label is missing
/// or the order is another one.
Value buildMatrix(OpBuilder &builder, Location loc, const Tracer &tracer,
                  const IndexedValue &indexed, ArrayRef<int> rows, int column);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_INDEXEDVALUE_H
