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
  llvm::Error readFloats(const StoredView &view, const WeightBox &box);
  llvm::Error copy(const StoredView &view, const WeightBox &box);
  float roundScale(float scale) const;
  float chooseScale(llvm::ArrayRef<float> group) const;
  float quantize(llvm::MutableArrayRef<float> group) const;
  unsigned encode(float number) const;
  void setNumbers(char *group, int64_t column,
                  llvm::ArrayRef<float> entries) const;
  void packColumn(bool isStored, const WeightBox &box, int64_t column,
                  int64_t first, int64_t end, int64_t own, char *group);

  const PanelLayout &layout;
  const QuantizedLayout &numbers;
  StridedReader reader;
  /// For each element of a box: the number, its zero point and its scale.
  std::vector<float> values, zeroPoints, scales;
  /// Of a column of a group.
  std::vector<float> entries;
  /// The magnitudes of a narrow float, by their bits.
  std::vector<float> magnitudes;
};

} // namespace mlir::moe

#endif // COMPILER_ARTIFACT_QUANTIZEDPANELS_H
