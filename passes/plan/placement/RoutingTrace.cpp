//===- RoutingTrace.cpp - which experts tokens have chosen ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/plan/placement/RoutingTrace.h"

#include <algorithm>

using namespace mlir::moe;

std::vector<double> LayerTrace::getLoads(int64_t experts) const {
  std::vector<double> loads(experts);
  for (int32_t id : ids)
    if (id >= 0)
      loads[id] += 1;
  for (double &load : loads)
    load /= std::max<int64_t>(getTokens(), 1);
  return loads;
}

LayerTrace LayerTrace::sample(int64_t count) const {
  int64_t tokens = getTokens();
  if (tokens <= count)
    return *this;
  LayerTrace result{slots, {}};
  result.ids.reserve(count * slots);
  for (int64_t i = 0; i < count; ++i) {
    llvm::ArrayRef<int32_t> token = getToken(i * tokens / count);
    result.ids.insert(result.ids.end(), token.begin(), token.end());
  }
  return result;
}

LayerTrace LayerTrace::slice(int64_t begin, int64_t end) const {
  return {slots, {ids.begin() + begin * slots, ids.begin() + end * slots}};
}

llvm::Error RoutingTrace::check(const ExpertModel &model) const {
  if (layers.size() != model.layers.size())
    return llvm::createStringError(
        "expected a trace of " + llvm::Twine(model.layers.size()) +
        " layers, got " + llvm::Twine(layers.size()) + " in '" + source + "'");
  for (size_t i = 0; i < layers.size(); ++i) {
    const ExpertLayer &layer = model.layers[i];
    std::string place = "layer " + std::to_string(i) + " of '" + source + "'";
    if (layers[i].slots != layer.slots)
      return llvm::createStringError("expected " + llvm::Twine(layer.slots) +
                                     " experts per token in " + place +
                                     ", got " + llvm::Twine(layers[i].slots));
    if (layers[i].getTokens() == 0)
      return llvm::createStringError("expected at least one token in " + place);
    if (layers[i].getTokens() != getTokens())
      return llvm::createStringError(
          "expected " + llvm::Twine(getTokens()) + " tokens in " + place +
          " as in the first layer, got " + llvm::Twine(layers[i].getTokens()));
    for (int32_t id : layers[i].ids)
      if (id >= layer.experts)
        return llvm::createStringError("expected experts below " +
                                       llvm::Twine(layer.experts) + " in " +
                                       place + ", got " + llvm::Twine(id));
  }
  return llvm::Error::success();
}
