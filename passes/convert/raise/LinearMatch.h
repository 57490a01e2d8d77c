//===- LinearMatch.h - linear maps that experts have their own matrix for --===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_LINEARMATCH_H
#define PASSES_CONVERT_RAISE_LINEARMATCH_H

#include "passes/convert/raise/IndexedValue.h"
#include "passes/convert/raise/WeightView.h"

namespace mlir::moe {

/// A stored matrix, or one for each expert.
struct ExpertMatrix {
  WeightView view;
  /// The label of each dimension of the view.
  SmallVector<int> labels;
  /// The label that counts experts; none for the matrix of one expert.
  int expert = Digit::kNone;
  /// Which expert it is, where matrices are gathered.
  IndexedValue ids;
};

/// sum over `in` of x * matrix + bias.
struct LinearMatch {
  IndexedValue x;
  int in = Digit::kNone, out = Digit::kNone;
  ExpertMatrix matrix;
  /// Depends on the expert and `out`; null if there is none.
  IndexedValue bias;
  /// Other factors of the same product, and what it is summed over besides.
  SmallVector<IndexedValue> gates;
  SmallVector<int> summed;
};

/// `indexed` as a linear map with the outputs `out`.
std::optional<LinearMatch> matchLinear(Tracer &tracer,
                                       const IndexedValue &indexed, int out);

/// The view with labels in the order `labels`, as E x in x out; the expert's
/// dimension is left out where there is none.
std::optional<WeightView> getOrdered(const ExpertMatrix &matrix,
                                     ArrayRef<int> labels);

/// A view whose dimensions are whole labels, with their labels.
std::optional<std::pair<WeightView, SmallVector<int>>>
getLabelledView(const Tracer &tracer, WeightView view, ArrayRef<Axis> axes);

/// Ids of experts in a one-hot encoding: 1 where the id is `label`, or where it
/// is the constant `expert`.
struct OneHotMatch {
  IndexedValue ids;
  std::optional<int64_t> expert;
};
std::optional<OneHotMatch> matchOneHot(Tracer &tracer,
                                       const IndexedValue &indexed, int label);

/// `ids` before conversions and the wrap of negative indices.
IndexedValue traceIds(Tracer &tracer, IndexedValue ids);

/// A product of each expert's own rows, joined in the order of the experts.
std::optional<LinearMatch> matchLanes(Tracer &tracer, onnx::ConcatOp concat,
                                      const IndexedValue &indexed, int out);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_LINEARMATCH_H
