//===- RecurrentCell.h - one step of a recurrent layer --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_LOWER_RECURRENTCELL_H
#define PASSES_CONVERT_LOWER_RECURRENTCELL_H

#include "passes/convert/lower/Lowering.h"

namespace mlir::moe {

/// A function of one number that a gate applies.
struct Activation {
  StringRef name;
  double alpha = 0, beta = 0;

  Value apply(TensorBuilder &t, Value x) const;
};

/// The functions that `names` lists, with defaults for the parameters that
/// `alphas` and `betas`, taken in order by the functions that have them, leave
/// out.
FailureOr<SmallVector<Activation>> getActivations(Lowering &l,
                                                  ArrayRef<StringRef> names,
                                                  ArrayRef<float> alphas,
                                                  ArrayRef<float> betas);

enum class CellKind { RNN, GRU, LSTM };

/// One direction of a layer: its weights and what it does in a step. Gates lie
/// side by side: `hidden` columns each.
struct RecurrentCell {
  CellKind kind;
  int64_t hidden;
  SmallVector<Activation> activations;
  std::optional<double> clip;
  /// GRU: multiply by the reset gate after the product, not before.
  bool linearBeforeReset = false;
  /// LSTM: the forget gate is 1 minus the input gate.
  bool coupleForget = false;
  /// hidden x gates.
  Value weights;
  /// GRU with `linearBeforeReset`: the bias inside the reset; may be null.
  Value innerBias;
  /// LSTM: three rows of weights of the cell state; may be null.
  Value peepholes;

  int64_t getGateCount() const {
    return kind == CellKind::RNN ? 1 : kind == CellKind::GRU ? 3 : 4;
  }
  /// The next states from the product of the input with its weights and biases,
  /// batch x gates, and the states.
  SmallVector<Value> step(TensorBuilder &t, Value gates,
                          ValueRange states) const;

private:
  Value stepRNN(TensorBuilder &t, Value gates, Value state) const;
  Value stepGRU(TensorBuilder &t, Value gates, Value state) const;
  std::pair<Value, Value> stepLSTM(TensorBuilder &t, Value gates, Value state,
                                   Value cell) const;
  Value activate(TensorBuilder &t, unsigned which, Value x) const;
  Value takeGates(TensorBuilder &t, Value gates, int64_t first,
                  int64_t count) const;
  Value multiply(TensorBuilder &t, Value state, int64_t first,
                 int64_t count) const;
};

} // namespace mlir::moe

#endif // PASSES_CONVERT_LOWER_RECURRENTCELL_H
