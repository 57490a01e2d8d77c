//===- Sampler.cpp - chooses the next token -------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

/// An order of logits with NaN below every number.
static bool isGreater(float left, float right) {
  return std::isnan(right) ? !std::isnan(left) : left > right;
}

size_t Sampler::choose(const std::vector<float> &logits) {
  auto likelier = [&](size_t left, size_t right) {
    if (isGreater(logits[left], logits[right]))
      return true;
    return !isGreater(logits[right], logits[left]) && left < right;
  };
  if (options.temperature <= 0) {
    size_t best = 0;
    for (size_t token = 1; token < logits.size(); ++token)
      if (likelier(token, best))
        best = token;
    return best;
  }
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t(0));
  size_t candidates = order.size();
  if (options.topK > 0)
    candidates = std::min(candidates, options.topK);
  std::partial_sort(order.begin(), order.begin() + candidates, order.end(),
                    likelier);
  order.resize(candidates);

  std::vector<double> weights;
  double highest = logits[order.front()], sum = 0;
  for (size_t token : order) {
    double weight = std::exp((logits[token] - highest) / options.temperature);
    weights.push_back(std::isnan(weight) ? 0 : weight);
    sum += weights.back();
  }
  double kept = 0;
  size_t count = 0;
  while (count < weights.size() && (count == 0 || kept < options.topP * sum))
    kept += weights[count++];

  // The distributions of the standard library differ between libraries.
  double target = static_cast<double>(random() >> 11) * 0x1p-53 * kept;
  for (size_t i = 0; i < count; ++i) {
    target -= weights[i];
    if (target < 0)
      return order[i];
  }
  return order[count - 1];
}
