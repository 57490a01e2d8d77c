//===- Attention.h - parts of attention operators -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The attention operators of the standard and of com.microsoft differ in their
// operands, masks and caches; what they compute with them is here. Symbols:
// B batch, H heads, G heads of keys and values, S queries, T keys, D head size.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_ATTENTION_H
#define PASSES_CONVERT_LOWER_ATTENTION_H

#include "passes/convert/lower/Indexing.h"

namespace mlir::moe {

/// B x S x (heads * D) as B x heads x S x D.
Value splitHeads(TensorBuilder &t, Value tensor, int64_t heads);
/// B x H x S x D as B x S x (H * D).
Value mergeHeads(TensorBuilder &t, Value tensor);

/// Products of queries (B x H x S x D) and keys (B x G x T x D), B x H x S x T
/// in f32 or wider; every H / G heads share their keys.
Value buildScores(TensorBuilder &t, Value query, Value key);

/// A new score from the old one, further operands and the indices b, h, s, t.
using ScoreBody = function_ref<Value(TensorBuilder &, Value score,
                                     ValueRange operands, ValueRange position)>;
/// Maps scores. Dynamic dimensions of the operands, which have up to four, may
/// turn out to be 1.
Value mapScores(TensorBuilder &t, Value scores, ValueRange operands,
                ScoreBody body);

/// `softcap * tanh(scale * score / softcap)`, or `scale * score` without.
Value scaleScores(TensorBuilder &t, Value scores, double scale, double softcap);

/// Softmax over the keys. A row without a key is zero. `sink` (H), if not null,
/// is the score of a further key without a value.
Value buildProbabilities(TensorBuilder &t, Value scores, Value sink);

/// Sums of values (B x G x T x D), B x H x S x D in the type of the values.
Value buildWeightedValues(TensorBuilder &t, Value probabilities, Value value);

/// The attribute `scale`, else 1 / sqrt(D).
FailureOr<double> getScale(Lowering &l, std::optional<APFloat> scale,
                           Value query);

/// The leading indices into the caches for batch entry b and position s.
using CachePlace =
    function_ref<SmallVector<Value>(TensorBuilder &, Value b, Value s)>;

struct Rotation {
  Value cosines;
  Value sines;
  int64_t extent;   ///< Leading part of D that is rotated.
  bool interleaved; ///< Pairs are neighbours, else halves.
  int64_t sequenceDim;
};

/// Rotates pairs of elements of a tensor of rank 4 with last dimension D.
Value rotate(TensorBuilder &t, Value tensor, const Rotation &rotation,
             CachePlace place);

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_ATTENTION_H
