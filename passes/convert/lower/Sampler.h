//===- Sampler.h - images read between their pixels -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_SAMPLER_H
#define PASSES_CONVERT_LOWER_SAMPLER_H

#include "passes/convert/lower/Lowering.h"

namespace mlir::moe {

enum class Interpolation { Nearest, Linear, Cubic };

/// What is read outside an image: zero, the nearest pixel, or the mirror image.
enum class Border { Zeros, Clamp, Reflect };

/// An image, batch x channel x spatial dimensions, whose elements are read as
/// numbers of type `wide`.
class Sampler {
public:
  /// Ends the run if the image has no pixels. Mirrors are at the centres of the
  /// outermost pixels with `alignCorners`, else at their edges.
  Sampler(TensorBuilder &t, Value image, Type wide, Interpolation interpolation,
          Border border, bool alignCorners = false);

  /// The value at `coordinates`, numbers of type `wide`, one for each spatial
  /// dimension; pixel 0 has its centre at 0.
  Value sample(TensorBuilder &t, Value batch, Value channel,
               ValueRange coordinates) const;

  /// The number of pixels in spatial dimension `i`, of type `wide`.
  Value getLength(unsigned i) const { return lengths[i]; }
  unsigned getRank() const { return extents.size(); }

private:
  /// A pixel that counts along one dimension.
  struct Tap {
    Value index;
    Value weight;   ///< Null for 1.
    Value isInside; ///< Null if that is certain.
  };

  Value reflect(TensorBuilder &t, Value x, unsigned dim) const;
  SmallVector<Tap> getTaps(TensorBuilder &t, Value x, unsigned dim) const;
  Tap getTap(TensorBuilder &t, Value place, unsigned dim) const;
  Value combine(TensorBuilder &t, ArrayRef<SmallVector<Tap>> taps,
                SmallVector<Value> &position) const;

  Value image;
  Type wide;
  Interpolation interpolation;
  Border border;
  bool alignCorners;
  SmallVector<Value> extents, lengths;
};

/// `x` as an index; one far outside every tensor for NaN and great numbers.
Value toIndex(TensorBuilder &t, Value x);

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_SAMPLER_H
