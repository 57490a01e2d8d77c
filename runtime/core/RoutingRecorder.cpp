//===- RoutingRecorder.cpp - what the routers of a run have chosen --------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/core/RoutingRecorder.h"

#include <cmath>
#include <cstring>

using namespace moert;

/// IEEE 754 binary16; every one of them is a binary32.
static float fromHalf(uint16_t bits) {
  int exponent = bits >> 10 & 0x1f, mantissa = bits & 0x3ff;
  float magnitude;
  if (exponent == 0x1f)
    magnitude = mantissa ? NAN : INFINITY;
  else if (exponent == 0)
    magnitude = std::ldexp(float(mantissa), -24);
  else
    magnitude = std::ldexp(float(mantissa | 0x400), exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

static float fromBfloat(uint16_t bits) {
  uint32_t wide = uint32_t(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof(value));
  return value;
}

static float readWeight(const MoertRouting &routing, int64_t index) {
  if (routing.weight_bits == 32)
    return static_cast<const float *>(routing.weights)[index];
  uint16_t bits = static_cast<const uint16_t *>(routing.weights)[index];
  return routing.bf16 ? fromBfloat(bits) : fromHalf(bits);
}

static int32_t readId(const MoertRouting &routing, int64_t index) {
  if (routing.id_bits == 32)
    return static_cast<const int32_t *>(routing.ids)[index];
  return static_cast<int32_t>(static_cast<const int64_t *>(routing.ids)[index]);
}

void RoutingRecorder::record(int64_t index, const MoertRouting &routing) {
  if (layers.size() <= static_cast<size_t>(index))
    layers.resize(index + 1);
  Layer &layer = layers[index];
  layer.slots = routing.slots;
  layer.experts = routing.experts;
  layer.calls.push_back(routing.tokens);
  for (int64_t i = 0; i < routing.tokens * routing.slots; ++i) {
    layer.ids.push_back(readId(routing, i));
    layer.weights.push_back(readWeight(routing, i));
  }
}

moe_routing_t RoutingRecorder::getLayer(size_t index) const {
  const Layer &layer = layers[index];
  return {layer.slots ? int64_t(layer.ids.size()) / layer.slots : 0,
          layer.slots,
          layer.experts,
          layer.ids.data(),
          layer.weights.data(),
          int64_t(layer.calls.size()),
          layer.calls.data()};
}
