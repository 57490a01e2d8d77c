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

using namespace mlir;
using namespace mlir::moe;

int64_t moe::getGroupBytes(const PanelLayout &layout) {
  const QuantizedLayout &numbers = *layout.quantized;
  int64_t bytes = numbers.group * getBitSize(numbers.numbers) / 8 +
                  getByteSize(numbers.scales) + (numbers.zeroPoints ? 1 : 0);
  return bytes * layout.columns;
}

static bool isFloat(ElementKind kind) {
  return kind == ElementKind::F4E2M1FN || kind == ElementKind::F8E4M3FN;
}

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
    // The last magnitude of eight bits is no number.
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

/// The scale of a group is its greatest magnitude by that of the least number,
/// so that this magnitude is met.
llvm::Error QuantizedPanels::quantize(const StoredView &view,
                                      const WeightBox &box) {
  values.resize(box.rows * box.columns);
  if (llvm::Error error = reader.read(
          view, box, reinterpret_cast<char *>(values.data()), box.columns))
    return error;
  scales.assign(values.size(), 0);
  const float least = -std::ldexp(1.0f, getBitSize(numbers.numbers) - 1);
  const float greatest = -least - 1;
  for (int64_t first = 0; first < box.rows; first += numbers.group)
    for (int64_t column = 0; column < box.columns; ++column) {
      int64_t end = std::min(first + numbers.group, box.rows);
      float extreme = 0;
      for (int64_t row = first; row < end; ++row) {
        float value = values[row * box.columns + column];
        if (!std::isfinite(value))
          return llvm::createStringError(
              "cannot quantise infinities and NaN in '" + view.file->getPath() +
              "'");
        if (std::fabs(value) > std::fabs(extreme))
          extreme = value;
      }
      // Numbers are chosen for the scale as it is stored.
      float scale = extreme / least;
      char stored[sizeof(float)];
      getConversion(ElementKind::F32, numbers.scales)(
          reinterpret_cast<const char *>(&scale), 1, stored, 1);
      getConversion(numbers.scales, ElementKind::F32)(
          stored, 1, reinterpret_cast<char *>(&scale), 1);
      for (int64_t row = first; row < end; ++row) {
        int64_t place = row * box.columns + column;
        float number = scale == 0 ? 0 : std::nearbyint(values[place] / scale);
        values[place] = std::clamp(number, least, greatest);
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
          view.isQuantized() ? copy(view, box) : quantize(view, box))
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
