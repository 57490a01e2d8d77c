//===- PanelFormat.h - in which numbers weights are packed ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PANELFORMAT_H
#define PASSES_PLAN_PANELFORMAT_H

#include "dialects/kern/KernDialect.h"

#include <optional>

namespace mlir::moe {

/// What becomes of the floats of a model that are packed as weights.
enum class WeightPrecision { Keep, BF16, Int8, Int4 };

/// "keep", "bf16", "int8" or "int4".
std::optional<WeightPrecision> parseWeightPrecision(StringRef text);

/// When the rows that quantised weights multiply may be rounded to eight bits,
/// where the processor multiplies bytes.
enum class RowRounding {
  /// Never.
  Keep,
  /// Where the model says that it may be (`moe.byte_rows`).
  Model,
  /// Wherever weights are integers.
  Int8
};

/// "keep", "model" or "int8".
std::optional<RowRounding> parseRowRounding(StringRef text);

struct Precision {
  WeightPrecision weights = WeightPrecision::Keep;
  RowRounding rows = RowRounding::Keep;
};

/// The numbers of panels.
struct PanelFormat {
  Type element;
  kern::PackedAttr layout;
};

/// The format of the panels of `sources`, matrices or stacks of them of one
/// type. Weights that the file has as integers or narrow floats stay so where
/// panels can hold them: with one scale, and zero point, for 16 rows or more.
/// `precision` decides on floats of the file, but for weights that choose
/// experts (`isRouter`), which keep theirs.
PanelFormat choosePanelFormat(ValueRange sources, const Precision &precision,
                              bool isRouter);

/// Whether the product `logits` does nothing but choose experts.
bool isRouterLogits(Value logits);

} // namespace mlir::moe

#endif // PASSES_PLAN_PANELFORMAT_H
