//===- MicrosoftLayer.h - what com.microsoft's layers of experts share ------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_MICROSOFTLAYER_H
#define PASSES_CONVERT_RAISE_MICROSOFTLAYER_H

#include "passes/convert/raise/ExpertForms.h"

namespace mlir::moe {

/// A layer of experts that is one node: MoE or QMoE.
struct MicrosoftLayer {
  Operation *op;
  Value input, logits;
  /// Mixing weights for all experts; those of the logits if null.
  Value routerWeights;
  int64_t k;
  bool normalize, sparseMixer;
  /// E x in x out.
  ExpertLinear fc1, fc2;
  std::optional<ExpertLinear> fc3;
  StringRef activation;
  double alpha, beta;
  std::optional<APFloat> limit;
  /// Gate and up projection are 0: apart, 1: interleaved, 2: side by side.
  int64_t fusion;

  /// Takes the attributes that both operators have.
  template <typename OpTy> static MicrosoftLayer get(OpTy op) {
    MicrosoftLayer layer;
    layer.op = op;
    layer.input = op.getInput();
    layer.logits = op.getRouterProbs();
    layer.k = op.getK();
    layer.normalize = op.getNormalizeRoutingWeights();
    layer.sparseMixer = op.getUseSparseMixer();
    layer.activation = op.getActivationType();
    layer.alpha = op.getActivationAlpha().convertToDouble();
    layer.beta = op.getActivationBeta().convertToDouble();
    layer.limit = op.getSwigluLimit();
    layer.fusion = op.getSwigluFusion();
    return layer;
  }

  /// Fails, with an error, for shapes (E x out x in) that contradict each
  /// other.
  LogicalResult checkShapes(ArrayRef<int64_t> fc1Shape,
                            ArrayRef<int64_t> fc2Shape) const;

  /// Replaces the node, or says why it cannot.
  void raise(std::optional<Miss> &miss) const;
};

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_MICROSOFTLAYER_H
