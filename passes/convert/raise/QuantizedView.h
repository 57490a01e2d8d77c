//===- QuantizedView.h - quantised weights as views -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// How operators state that numbers are stored as narrow integers or floats with
// scales and zero points, as views that the weight packer reads.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_QUANTIZEDVIEW_H
#define PASSES_CONVERT_RAISE_QUANTIZEDVIEW_H

#include "dialects/onnx/ONNXDialect.h"
#include "passes/convert/raise/WeightView.h"

namespace mlir::moe {

/// The `accuracy_level` of MatMulNBits and QMoE at which rows may be rounded to
/// eight bits.
constexpr int64_t kByteAccuracy = 4;

/// Where `value`, a weight or a constant that the importer has read, lies.
std::optional<WeightView> getStoredView(Value value);

/// Bytes as elements of `element`, which share bytes along the last dimension.
std::optional<WeightView> unpackBytes(const WeightView &bytes, Type element);

/// What turns stored numbers into weights: (stored - zero) * scales.
struct QuantizationViews {
  /// Gives a table of scales or zero points the dimensions of the weight.
  using Layout =
      function_ref<std::optional<WeightView>(const WeightView &table)>;

  /// The value is a constant with one number, or is stored.
  LogicalResult addScales(Value value, Layout layout);
  /// The same for zero points; integers share bytes if they have less `bits`.
  LogicalResult setZeroPoints(Value value, unsigned bits, Layout layout);

  /// The weights of type `element`.
  std::optional<WeightView> apply(const WeightView &stored, Type element) const;

  /// Each has the dimensions of the weight.
  SmallVector<WeightView> scales;
  std::optional<WeightView> zeroPoints;
  int64_t zeroPoint = 0;
  double scale = 1.0;
};

/// The view for one scale or zero point for each `blocks[i]` entries of
/// dimension i; dimensions of extent 1 are repeated.
std::optional<WeightView> repeatBlocks(const WeightView &values,
                                       ArrayRef<int64_t> blocks);

/// The result of `op` as a view of the file, if all its operands are stored.
std::optional<WeightView> getDequantized(onnx::DequantizeLinearOp op);

/// The right operand of `op` as K x N, if it is stored. Fails, with an error,
/// for operands that contradict the attributes.
FailureOr<std::optional<WeightView>>
getDequantized(onnx::MicrosoftMatMulNBitsOp op);

/// The table that `op` takes rows of, if it is stored.
std::optional<WeightView>
getDequantized(onnx::MicrosoftGatherBlockQuantizedOp op);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_QUANTIZEDVIEW_H
