//===- WeightView.h - the algebra of strided weights ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A weight is a strided view of a file, or a stack of such views. The
// operations below change shape, strides and offset and never touch numbers.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_WEIGHTVIEW_H
#define PASSES_CONVERT_RAISE_WEIGHTVIEW_H

#include "dialects/moe/MoEDialect.h"

#include <optional>

namespace mlir::moe {

/// What a `moe.weight` says, as a value.
struct WeightView {
  /// The name of the initialiser, for people.
  std::string name;
  /// One view of all dimensions, or one for each entry of the first dimension.
  SmallVector<ViewAttr> views;
  SmallVector<int64_t> shape;
  /// The type that elements are converted to.
  Type element;
  /// Whether rows may be rounded to eight bits before they are multiplied.
  bool allowsByteRows = false;

  /// The view that `value` is defined by, if it is a weight.
  static std::optional<WeightView> get(Value value);

  bool isStack() const { return views.size() > 1; }
  int64_t getRank() const { return shape.size(); }

  // Each returns nothing where the result is no view.
  std::optional<WeightView> transpose(ArrayRef<int64_t> permutation) const;
  /// Entries start, start + step, ... of `dim`, `count` of them.
  std::optional<WeightView> slice(int64_t dim, int64_t start, int64_t count,
                                  int64_t step = 1) const;
  /// Entry `i` of `dim`, without the dimension.
  std::optional<WeightView> select(int64_t dim, int64_t i) const;
  /// Splits, joins, adds and drops dimensions, as far as strides allow.
  std::optional<WeightView> reshape(ArrayRef<int64_t> newShape) const;

  /// `parts`, all of one shape, along a new first dimension.
  static std::optional<WeightView> stack(ArrayRef<WeightView> parts);

  /// Creates the operation.
  Value build(OpBuilder &builder, Location loc) const;

private:
  /// The same with `change` made to the place of every view, inner ones too.
  std::optional<WeightView>
  transform(ArrayRef<int64_t> newShape,
            function_ref<ViewAttr(ViewAttr)> change) const;
};

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_WEIGHTVIEW_H
