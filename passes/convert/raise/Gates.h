//===- Gates.h - mixing weights with zeros ----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Where all experts see all tokens, the weights of a token are zero for experts
// that it did not choose. What chose them is in the data flow: a scatter, a
// one-hot encoding, a comparison with ids.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_GATES_H
#define PASSES_CONVERT_RAISE_GATES_H

#include "passes/convert/raise/LinearMatch.h"
#include "passes/convert/raise/RowBuilder.h"

namespace mlir::moe {

/// One factor of mixing weights.
struct GateFactor {
  enum Kind { Plain, Inverse, SoftmaxOfChosen, SigmoidOfChosen, SumOverLabel };
  IndexedValue value;
  Kind kind = Plain;
  /// What a sum runs over.
  int label = Digit::kNone;

  bool operator==(const GateFactor &other) const {
    return kind == other.kind && value == other.value && label == other.label;
  }
};

/// Weights that are not zero only for `ids`.
struct Choice {
  /// Null if every expert has a weight.
  IndexedValue ids;
  /// What counts the chosen experts of a token; none if there is one.
  int slot = Digit::kNone;
  /// The only expert that these weights are for.
  std::optional<int64_t> expert;
  SmallVector<GateFactor> factors;
  /// The product of `factors` is divided by its sum over the slots, with an
  /// epsilon that is added or that bounds it; `outer` multiplies afterwards.
  bool normalized = false, clamped = false;
  double epsilon = 0;
  SmallVector<GateFactor> outer;

  /// The same with another label for the slots.
  void renameSlot(const Tracer &tracer, int label);
  bool isSameButExpert(const Choice &other) const;
};

/// Reads the product of `gates`, summed over `summed`, as weights of the
/// experts that `expert` counts. A dense choice if nothing chooses.
std::optional<Choice> matchChoice(Tracer &tracer, ArrayRef<IndexedValue> gates,
                                  ArrayRef<int> summed, int expert);

/// The ids and weights of a choice as matrices tokens x slots.
struct ChoiceValues {
  Value ids, weights;
};
std::optional<ChoiceValues> buildChoice(OpBuilder &builder, Location loc,
                                        Tracer &tracer, const Choice &choice,
                                        RowBuilder &rows, int expert,
                                        Type element, std::string &reason);

/// Every expert for every token, with `weights` of tokens x experts.
ChoiceValues buildMixture(OpBuilder &builder, Location loc, Value weights);

/// The product of `gates`, summed over `summed`, as tokens x 1; null if there
/// is no way.
Value buildWeight(OpBuilder &builder, Location loc, const Tracer &tracer,
                  ArrayRef<IndexedValue> gates, ArrayRef<int> summed,
                  RowBuilder &rows, Type element);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_GATES_H
