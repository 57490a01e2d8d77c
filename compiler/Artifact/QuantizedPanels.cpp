//===- QuantizedPanels.cpp - panels of quantised numbers ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/Artifact/QuantizedPanels.h"

#include "llvm/Support/MathExtras.h"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace mlir;
using namespace mlir::moe;

int64_t moe::getGroupBytes(const PanelLayout &layout) {
  const QuantizedLayout &numbers = *layout.quantized;
  int64_t bytes = numbers.group * getBitSize(numbers.numbers) / 8 +
                  getByteSize(numbers.scales) + (numbers.zeroPoints ? 1 : 0);
  return bytes * layout.columns;
}

static bool isFloat(ElementKind kind) {
  return kind == ElementKind::F4E2M1FN || kind == ElementKind::F8E4M3FN ||
         kind == ElementKind::F8E5M2;
}

static bool isWideFloat(ElementKind kind) { return kind <= ElementKind::F64; }

static bool isSigned(ElementKind kind) {
  return kind == ElementKind::I2 || kind == ElementKind::I4 ||
         kind == ElementKind::I8;
}

QuantizedPanels::QuantizedPanels(const PanelLayout &layout)
    : layout(layout), numbers(*layout.quantized), reader(ElementKind::F32) {
  if (!isFloat(numbers.numbers))
    return;
  for (unsigned bits = 0; bits < 1u << (getBitSize(numbers.numbers) - 1);
       ++bits) {
    char byte = static_cast<char>(bits);
    float magnitude;
    widenElements(numbers.numbers, &byte, 0, 1, &magnitude, 1);
    // The last codes of eight bits are no numbers.
    if (!std::isnan(magnitude))
      magnitudes.push_back(magnitude);
  }
}

/// The bits of a number that the panels can hold.
unsigned QuantizedPanels::encode(float number) const {
  unsigned bits = getBitSize(numbers.numbers);
  if (!isFloat(numbers.numbers))
    return static_cast<unsigned>(static_cast<int>(number)) & ((1u << bits) - 1);
  auto found =
      std::lower_bound(magnitudes.begin(), magnitudes.end(), std::fabs(number));
  auto code = static_cast<unsigned>(found - magnitudes.begin());
  return code | (std::signbit(number) ? 1u << (bits - 1) : 0);
}

/// Stored numbers stay as they are; those that are signed and have zero points
/// become unsigned, so that a zero point is an unsigned byte.
llvm::Error QuantizedPanels::copy(const StoredView &view,
                                  const WeightBox &box) {
  if (llvm::Error error =
          reader.readParts(view, box, values, zeroPoints, scales))
    return error;
  if (std::any_of(values.begin(), values.end(),
                  [](float value) { return std::isnan(value); }))
    return llvm::createStringError("expected numbers, got NaN in '" +
                                   view.file->getPath() + "'");
  if (!numbers.zeroPoints) {
    for (size_t i = 0; i < values.size(); ++i)
      values[i] -= zeroPoints[i];
  } else if (isSigned(view.element)) {
    float shift = std::ldexp(1.0f, getBitSize(view.element) - 1);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] += shift;
      zeroPoints[i] += shift;
    }
  }
  return llvm::Error::success();
}

/// The nearest integer, the even one of two, for numbers up to 2^22.
static float roundToInteger(float value) {
  constexpr float kShift = 1.5f * (1 << 23);
  return (value + kShift) - kShift;
}

/// The same scale as it is stored.
float QuantizedPanels::roundScale(float scale) const {
  char stored[sizeof(float)];
  getConversion(ElementKind::F32, numbers.scales)(
      reinterpret_cast<const char *>(&scale), 1, stored, 1);
  getConversion(numbers.scales, ElementKind::F32)(
      stored, 1, reinterpret_cast<char *>(&scale), 1);
  return scale;
}

/// The greatest magnitude of a group becomes the least number, so that it is
/// met. With few bits, another multiple of it may leave less error: numbers
/// that are a little greater are cut then.
float QuantizedPanels::chooseScale(llvm::ArrayRef<float> group) const {
  const bool hasFewBits = getBitSize(numbers.numbers) == 4;
  const float least = hasFewBits ? -8 : -128, greatest = -least - 1;
  float extreme = 0;
  for (float value : group)
    if (std::fabs(value) > std::fabs(extreme))
      extreme = value;
  if (!hasFewBits || extreme == 0)
    return roundScale(extreme / least);
  float best = 0, bestError = std::numeric_limits<float>::infinity();
  for (float number : {-8.0f, -7.0f, -8.5f, -9.0f, -9.5f}) {
    float scale = roundScale(extreme / number), error = 0;
    for (float value : group) {
      float code = roundToInteger(value / scale);
      float rest = value - std::clamp(code, least, greatest) * scale;
      error += rest * rest;
    }
    if (error < bestError) {
      best = scale;
      bestError = error;
    }
  }
  return best;
}

llvm::Error QuantizedPanels::quantize(const StoredView &view,
                                      const WeightBox &box) {
  values.resize(box.rows * box.columns);
  if (llvm::Error error = reader.read(
          view, box, reinterpret_cast<char *>(values.data()), box.columns))
    return error;
  scales.assign(values.size(), 0);
  zeroPoints.assign(values.size(), 0);
  const float least = getBitSize(numbers.numbers) == 4 ? -8 : -128;
  std::vector<float> group;
  for (int64_t first = 0; first < box.rows; first += numbers.group)
    for (int64_t column = 0; column < box.columns; ++column) {
      const int64_t end = std::min(first + numbers.group, box.rows);
      group.clear();
      for (int64_t row = first; row < end; ++row)
        group.push_back(values[row * box.columns + column]);
      for (float value : group)
        if (!std::isfinite(value))
          return llvm::createStringError(
              "cannot quantise infinities and NaN in '" + view.file->getPath() +
              "'");
      const float scale = chooseScale(group);
      for (int64_t row = first; row < end; ++row) {
        int64_t place = row * box.columns + column;
        // A scale that underflows stands for zeros.
        float number = scale == 0 ? 0 : roundToInteger(values[place] / scale);
        values[place] = std::clamp(number, least, -least - 1);
        scales[place] = scale;
      }
    }
  return llvm::Error::success();
}

void QuantizedPanels::setNumber(char *group, int64_t row, int64_t column,
                                unsigned code) {
  if (getBitSize(numbers.numbers) == 8) {
    group[row * layout.columns + column] = static_cast<char>(code);
    return;
  }
  // Eight rows of a column fill 32 bits.
  int64_t within = row % layout.depth;
  char &byte =
      group[row / layout.depth * layout.columns * 4 + column * 4 + within / 2];
  byte = static_cast<char>(byte | code << (within % 2 * 4));
}

llvm::Error QuantizedPanels::pack(const StoredView &view, const WeightBox &box,
                                  char *target, int64_t panelStride) {
  if (llvm::Error error =
          isWideFloat(view.element) ? quantize(view, box) : copy(view, box))
    return error;
  const int64_t groupBytes = getGroupBytes(layout);
  const int64_t scaleBytes = getByteSize(numbers.scales);
  const int64_t numberBytes =
      layout.columns * numbers.group * getBitSize(numbers.numbers) / 8;
  const ConvertFunction toScale =
      getConversion(ElementKind::F32, numbers.scales);
  for (int64_t column = 0; column < box.columns; ++column) {
    char *panel = target + column / layout.columns * panelStride;
    int64_t own = column % layout.columns;
    for (int64_t row = 0; row < box.rows; ++row) {
      char *group = panel + row / numbers.group * groupBytes;
      int64_t place = row * box.columns + column;
      setNumber(group, row % numbers.group, own, encode(values[place]));
      if (row % numbers.group != 0)
        continue;
      toScale(reinterpret_cast<const char *>(&scales[place]), 1,
              group + numberBytes + own * scaleBytes, 1);
      if (numbers.zeroPoints)
        group[groupBytes - layout.columns + own] =
            static_cast<char>(static_cast<unsigned char>(zeroPoints[place]));
    }
  }
  return llvm::Error::success();
}
