//===- RoundedWeights.cpp - the error of weights in fewer bits -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/RoundedWeights.h"

#include "llvm/ADT/StringMap.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/JSON.h"

#include <cmath>
#include <limits>

namespace json = llvm::json;

double getRelativeError(const moe_tensor_t &got, const moe_tensor_t &want) {
  double error = 0, size = 0;
  for (int64_t i = 0, count = countElements(want); i < count; ++i) {
    double gotValue = readElement(got, i), wantValue = readElement(want, i);
    // Infinities and NaN must be the same.
    if (gotValue == wantValue ||
        (std::isnan(gotValue) && std::isnan(wantValue))) {
      if (std::isfinite(wantValue))
        size += wantValue * wantValue;
      continue;
    }
    if (!std::isfinite(gotValue) || !std::isfinite(wantValue))
      return std::numeric_limits<double>::infinity();
    error += (gotValue - wantValue) * (gotValue - wantValue);
    size += wantValue * wantValue;
  }
  if (error == 0)
    return 0;
  return size == 0 ? std::numeric_limits<double>::infinity()
                   : std::sqrt(error / size);
}

/// The type and the layout of each weight, by its name.
static llvm::StringMap<std::string> readLayouts(const char *manifest) {
  llvm::StringMap<std::string> layouts;
  llvm::Expected<json::Value> value = json::parse(manifest);
  if (!value) {
    llvm::consumeError(value.takeError());
    return layouts;
  }
  const json::Object *object = value->getAsObject();
  const json::Array *weights = object ? object->getArray("weights") : nullptr;
  if (!weights)
    return layouts;
  for (const json::Value &entry : *weights)
    if (const json::Object *weight = entry.getAsObject()) {
      llvm::StringRef layout = weight->getString("layout").value_or("");
      if (layout != "row-major")
        layouts[weight->getString("name").value_or("")] =
            (weight->getString("type").value_or("") + " " + layout).str();
    }
  return layouts;
}

unsigned countRoundedWeights(const char *manifest, const char *kept) {
  llvm::StringMap<std::string> before = readLayouts(kept);
  unsigned count = 0;
  for (const auto &entry : readLayouts(manifest)) {
    auto found = before.find(entry.getKey());
    count += found == before.end() || found->getValue() != entry.getValue();
  }
  return count;
}

double getExpectedError(const mlir::moe::PrecisionFlags &precision,
                        unsigned count) {
  const double ofBytes = 4.0 / 127 / std::sqrt(12);
  double weights = llvm::StringSwitch<double>(precision.weights)
                       .Case("bf16", std::exp2(-9))
                       .Case("int8", ofBytes)
                       .Case("int4", 3.0 / 8 / std::sqrt(12))
                       .Default(0);
  double rows = precision.activations == "keep" ? 0 : ofBytes;
  return std::hypot(weights, rows) * std::sqrt(count);
}
