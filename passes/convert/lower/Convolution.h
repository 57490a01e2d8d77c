//===- Convolution.h - what the convolutions share ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_CONVOLUTION_H
#define PASSES_CONVERT_LOWER_CONVOLUTION_H

#include "passes/convert/lower/Window.h"

namespace mlir::moe {

/// Checks that `extent`, described by `what`, splits into `groups`.
LogicalResult checkGroups(Lowering &l, int64_t groups, int64_t extent,
                          StringRef what);

/// Checks that the weights have the channels of the input and the bias their
/// filters.
LogicalResult checkChannels(Lowering &l, Value input, Value weight, Value bias,
                            int64_t groups, bool transposed = false);

/// The sum over channels and taps of the padded input times the weights, for
/// all `places`. Accumulates in f32 or wider; `bias` may be null. With
/// `transposed`, weights are channel x filter x taps, the taps backwards.
Value contractWindows(TensorBuilder &t, Value padded, Value weight, Value bias,
                      const Window &window, int64_t groups,
                      ArrayRef<OpFoldResult> places, bool transposed = false);

/// The convolution of an input with weights; the kernel of `attributes` is that
/// of the weights.
FailureOr<Value> convolve(Lowering &l, Value input, Value weight, Value bias,
                          const WindowAttributes &attributes, int64_t groups);

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_CONVOLUTION_H
