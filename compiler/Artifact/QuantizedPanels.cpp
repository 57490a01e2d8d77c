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

/// The sum of the squares of what is left of `group` after quantisation. Four
/// sums, so that they need not wait for each other; the group has a multiple of
/// four entries.
static float getError(llvm::ArrayRef<float> group, float scale, float least) {
  float errors[4] = {};
  for (size_t i = 0; i < group.size(); i += 4)
    for (size_t lane = 0; lane < 4; ++lane) {
      float value = group[i + lane];
      float code = std::clamp(roundToInteger(value / scale), least, -least - 1);
      float rest = value - code * scale;
      errors[lane] += rest * rest;
    }
  return (errors[0] + errors[1]) + (errors[2] + errors[3]);
}

/// The greatest magnitude of a group becomes the least number, so that it is
/// met. With few bits, another multiple of it may leave less error: numbers
/// that are a little greater are cut then.
float QuantizedPanels::chooseScale(llvm::ArrayRef<float> group) const {
  const bool hasFewBits = getBitSize(numbers.numbers) == 4;
  const float least = hasFewBits ? -8 : -128;
  float extreme = 0;
  for (float value : group)
    if (std::fabs(value) > std::fabs(extreme))
      extreme = value;
  if (!hasFewBits || extreme == 0)
    return roundScale(extreme / least);
  float best = 0, bestError = std::numeric_limits<float>::infinity();
  for (float number : {-8.0f, -7.0f, -8.5f, -9.0f, -9.5f}) {
    float scale = roundScale(extreme / number);
    float error = getError(group, scale, least);
    if (error < bestError) {
      best = scale;
      bestError = error;
    }
  }
  return best;
}

llvm::Error QuantizedPanels::readFloats(const StoredView &view,
                                        const WeightBox &box) {
  if (isFloat(numbers.numbers) || numbers.zeroPoints)
    return llvm::createStringError(
        "expected numbers that are stored for the panels, got floats in '" +
        view.file->getPath() + "'");
  values.resize(box.rows * box.columns);
  if (llvm::Error error = reader.read(
          view, box, reinterpret_cast<char *>(values.data()), box.columns))
    return error;
  if (std::any_of(values.begin(), values.end(),
                  [](float value) { return !std::isfinite(value); }))
    return llvm::createStringError("cannot quantise infinities and NaN in '" +
                                   view.file->getPath() + "'");
  return llvm::Error::success();
}

/// Makes numbers of the entries of a group; returns their scale.
float QuantizedPanels::quantize(llvm::MutableArrayRef<float> group) const {
  const float least = getBitSize(numbers.numbers) == 4 ? -8 : -128;
  const float scale = chooseScale(group);
  // A scale that underflows stands for zeros.
  if (scale == 0)
    std::fill(group.begin(), group.end(), 0.0f);
  else
    for (float &value : group)
      value = std::clamp(roundToInteger(value / scale), least, -least - 1);
  return scale;
}

void QuantizedPanels::setNumbers(char *group, int64_t column,
                                 llvm::ArrayRef<float> entries) const {
  if (getBitSize(numbers.numbers) == 8) {
    for (float entry : entries) {
      group[column] = static_cast<char>(encode(entry));
      group += layout.columns;
    }
    return;
  }
  // Eight rows of a column fill 32 bits.
  group += column * 4;
  for (size_t row = 0; row < entries.size(); ++row) {
    char &byte = group[row / 8 * (layout.columns * 4) + row % 8 / 2];
    byte = static_cast<char>(byte | encode(entries[row]) << (row % 2 * 4));
  }
}

/// Packs rows `first` to `end` of a column, which is number `own` of its panel.
void QuantizedPanels::packColumn(bool isStored, const WeightBox &box,
                                 int64_t column, int64_t first, int64_t end,
                                 int64_t own, char *group) {
  // Zeros are no error for a scale.
  entries.assign(llvm::alignTo(end - first, 4), 0.0f);
  for (int64_t row = first; row < end; ++row)
    entries[row - first] = values[row * box.columns + column];
  const int64_t place = first * box.columns + column;
  const float scale = isStored ? scales[place] : quantize(entries);
  setNumbers(group, own, llvm::ArrayRef(entries).take_front(end - first));
  const int64_t scaleBytes = getByteSize(numbers.scales);
  char *stored =
      group + layout.columns * numbers.group * getBitSize(numbers.numbers) / 8 +
      own * scaleBytes;
  getConversion(ElementKind::F32, numbers.scales)(
      reinterpret_cast<const char *>(&scale), 1, stored, 1);
  if (numbers.zeroPoints)
    group[getGroupBytes(layout) - layout.columns + own] =
        static_cast<char>(static_cast<unsigned char>(zeroPoints[place]));
}

llvm::Error QuantizedPanels::pack(const StoredView &view, const WeightBox &box,
                                  char *target, int64_t panelStride) {
  const bool isStored = !isWideFloat(view.element);
  if (llvm::Error error = isStored ? copy(view, box) : readFloats(view, box))
    return error;
  const int64_t groupBytes = getGroupBytes(layout);
  for (int64_t panel = 0; panel < box.columns; panel += layout.columns) {
    const int64_t width = std::min(layout.columns, box.columns - panel);
    char *group = target;
    for (int64_t first = 0; first < box.rows; first += numbers.group) {
      const int64_t end = std::min(first + numbers.group, box.rows);
      for (int64_t own = 0; own < width; ++own)
        packColumn(isStored, box, panel + own, first, end, own, group);
      group += groupBytes;
    }
    target += panelStride;
  }
  return llvm::Error::success();
}
