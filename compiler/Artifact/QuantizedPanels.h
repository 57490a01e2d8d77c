//===- QuantizedPanels.h - panels of quantised numbers --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_ARTIFACT_QUANTIZEDPANELS_H
#define COMPILER_ARTIFACT_QUANTIZEDPANELS_H

#include "compiler/Artifact/StridedReader.h"

namespace mlir::moe {

/// The bytes of a group of rows of one quantised panel.
int64_t getGroupBytes(const PanelLayout &layout);

/// Writes quantised panels, from numbers that are stored so or from floats,
/// which it quantises.
class QuantizedPanels {
public:
  explicit QuantizedPanels(const PanelLayout &layout);

  /// Packs the columns of `box`, whole columns of a matrix of which the first
  /// begins a panel. Panel i goes to `target + i * panelStride`.
  llvm::Error pack(const StoredView &view, const WeightBox &box, char *target,
                   int64_t panelStride);

private:
  llvm::Error quantize(const StoredView &view, const WeightBox &box);
  float roundScale(float scale) const;
  float chooseScale(llvm::ArrayRef<float> group) const;
  llvm::Error copy(const StoredView &view, const WeightBox &box);
  void setNumber(char *group, int64_t row, int64_t column, unsigned code);
  unsigned encode(float number) const;

  const PanelLayout &layout;
  const QuantizedLayout &numbers;
  StridedReader reader;
  /// For each element of a box: the number, its zero point and its scale.
  std::vector<float> values, zeroPoints, scales;
  /// The magnitudes of a narrow float, by their bits.
  std::vector<float> magnitudes;
};

} // namespace mlir::moe

#endif // COMPILER_ARTIFACT_QUANTIZEDPANELS_H
