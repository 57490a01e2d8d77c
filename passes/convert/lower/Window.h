//===- Window.h - windows that slide over spatial dimensions --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What convolutions and poolings share: their attributes, the padding of the
// input and the number of places at which the window stops. Tensors are
// batch x channel x spatial dimensions.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_WINDOW_H
#define PASSES_CONVERT_LOWER_WINDOW_H

#include "passes/convert/lower/Lowering.h"

namespace mlir::moe {

/// The attributes as an operator states them.
struct WindowAttributes {
  ArrayRef<int64_t> kernel;
  std::optional<ArrayRef<int64_t>> strides, dilations, pads;
  StringRef autoPad = "NOTSET";
  bool roundUp = false;
};

/// One entry for each spatial dimension.
struct Window {
  SmallVector<int64_t> kernel, strides, dilations, before, after;
  /// Whether a last window may reach beyond the padding, if it begins before
  /// the padding at the end.
  bool roundUp = false;

  int64_t getRank() const { return kernel.size(); }
  bool isPadded() const;
  /// From the first tap of the kernel to the last one, both counted.
  int64_t getReach(int64_t i) const {
    return (kernel[i] - 1) * dilations[i] + 1;
  }
};

/// Checks the attributes and fills in their defaults; `input` is the type of
/// the tensor under the window.
FailureOr<Window> getWindow(Lowering &l, RankedTensorType input,
                            const WindowAttributes &attributes);

/// The number of places in each spatial dimension.
FailureOr<Sizes> countPlaces(Lowering &l, Value input, const Window &window);

/// `input` between copies of `fill`, large enough for all `places`.
Value padForWindow(TensorBuilder &t, Value input, const Window &window,
                   ArrayRef<OpFoldResult> places, Value fill);

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_WINDOW_H
