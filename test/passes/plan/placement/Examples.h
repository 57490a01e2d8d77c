//===- Examples.h - models and machines for the tests of placement ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef TEST_PASSES_PLAN_PLACEMENT_EXAMPLES_H
#define TEST_PASSES_PLAN_PLACEMENT_EXAMPLES_H

#include "passes/plan/placement/Simulator.h"

namespace mlir::moe {

inline ExpertLayer makeLayer(int64_t experts, int64_t slots) {
  ExpertLayer layer;
  layer.name = "layer";
  layer.experts = experts;
  layer.slots = slots;
  layer.hidden = 64;
  layer.inner = 32;
  return layer;
}

inline ExpertModel makeModel(int64_t layers, int64_t experts, int64_t slots) {
  ExpertModel model;
  model.name = "example";
  model.denseBytes = 1 << 20;
  model.layers.assign(layers, makeLayer(experts, slots));
  return model;
}

inline Machine makeMachine(int ranks, int nodes = 1) {
  Machine machine;
  machine.ranks.assign(1, Rank());
  return llvm::cantFail(machine.resize(ranks, nodes));
}

} // namespace mlir::moe

#endif // TEST_PASSES_PLAN_PLACEMENT_EXAMPLES_H
