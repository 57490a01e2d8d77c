//===- PanelReader.h - single numbers of packed matrices ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_GPU_PANELREADER_H
#define PASSES_TARGET_GPU_PANELREADER_H

#include "passes/target/gpu/ExpertLoops.h"

namespace mlir::moe {

/// Reads the panels of `sources` matrices of the same extents, whatever their
/// numbers are.
class PanelReader {
public:
  PanelReader(Value buffer, int64_t sources,
              std::optional<kern::QuantizedAttr> quantized);

  /// Entry (`k`, `column`) of matrix `source`, in f32; `leading`: the expert or
  /// the entry of the batch, if there are several.
  Value load(ExpertBuilder &b, ValueRange leading, int64_t source, Value k,
             Value column) const;

private:
  Value loadQuantized(ExpertBuilder &b, ArrayRef<Value> unit, Value row,
                      Value column) const;

  Value buffer;
  int64_t sources, columns, unitSize;
  kern::QuantizedAttr quantized;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_GPU_PANELREADER_H
