//===- RowBuilder.h - indexed values as matrices of rows --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_ROWBUILDER_H
#define PASSES_CONVERT_RAISE_ROWBUILDER_H

#include "passes/convert/raise/IndexedValue.h"

namespace mlir::moe {

/// Builds matrices with a row for each value of some labels. Unlike
/// `buildMatrix`, values that do not depend on all of these labels are
/// repeated.
class RowBuilder {
public:
  RowBuilder(OpBuilder &builder, Location loc, const Tracer &tracer,
             ArrayRef<int> rows)
      : builder(builder), loc(loc), tracer(tracer), rows(rows),
        sources(rows.size()) {}

  /// Takes dynamic extents of the rows from the dimensions of `value`.
  void learnExtents(const IndexedValue &value);

  /// `indexed` as rows x `column`, or rows x 1; null if there is no way.
  Value build(const IndexedValue &indexed, int column);
  /// `number` for each row and column.
  Value buildFilled(TypedAttr number, int64_t columns);
  /// The value of `label`, which is one of the rows, for each row.
  Value buildCount(int label);
  /// A matrix of all rows in the shape of `type`, which has the rows as its
  /// leading dimensions; null if their extents are unknown.
  Value restore(Value matrix, RankedTensorType type);

private:
  Value buildIntegers(ArrayRef<int64_t> values);
  /// The extents of the rows and `width` as a shape; null if they are unknown.
  Value buildShape(int64_t width);
  Value flatten(Value value, int64_t width);
  /// `value` with a dimension for each row label, some of extent 1, and the
  /// width.
  Value expand(Value value, int64_t width);
  SmallVector<int64_t> getExtents(int64_t width) const;

  OpBuilder &builder;
  Location loc;
  const Tracer &tracer;
  SmallVector<int> rows;
  /// Where the extent of each row label can be read.
  struct Source {
    Value value;
    int64_t dim = 0;
  };
  SmallVector<Source> sources;
};

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_ROWBUILDER_H
