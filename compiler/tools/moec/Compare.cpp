//===- Compare.cpp - compares a result with what was expected -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "compiler/tools/moec/Compare.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <sstream>

/// The subscripts of element `index`, such as "[1, 0, 7]".
static std::string formatIndex(const moe_tensor_t &tensor, int64_t index) {
  std::string text;
  for (uint32_t i = tensor.rank; i-- > 0;) {
    text = std::to_string(index % tensor.dims[i]) + (text.empty() ? "" : ", ") +
           text;
    index /= tensor.dims[i];
  }
  return "[" + text + "]";
}

static double getError(double got, double want) {
  if (got == want || (std::isnan(got) && std::isnan(want)))
    return 0;
  double error = std::fabs(got - want);
  return std::isnan(error) ? std::numeric_limits<double>::infinity() : error;
}

Comparison compareTensors(const moe_tensor_t &got, const moe_tensor_t &want,
                          const Tolerance &tolerance) {
  Comparison result;
  if (got.dtype != want.dtype || got.rank != want.rank ||
      !std::equal(got.dims, got.dims + got.rank, want.dims)) {
    result.agrees = false;
    result.worstError = std::numeric_limits<double>::infinity();
    result.reason = "expected " + describe(want) + ", got " + describe(got);
    return result;
  }
  bool exact = !isFloat(want.dtype);
  size_t size = moe_dtype_size(want.dtype);
  int64_t count = countElements(want);
  int64_t worst = -1;
  for (int64_t i = 0; i < count; ++i) {
    double gotValue = readElement(got, i), wantValue = readElement(want, i);
    double error = getError(gotValue, wantValue);
    // Large integers are not distinct as floating-point numbers.
    bool agrees =
        exact ? std::memcmp(static_cast<const char *>(got.data) + i * size,
                            static_cast<const char *>(want.data) + i * size,
                            size) == 0
              : error == 0 ||
                    (std::isfinite(error) &&
                     error <= tolerance.atol +
                                  tolerance.rtol * std::fabs(wantValue));
    bool isWorst = error > result.worstError;
    result.worstError = std::max(result.worstError, error);
    if (agrees)
      continue;
    ++result.wrongElements;
    if (isWorst || worst < 0)
      worst = i;
  }
  if (result.wrongElements == 0)
    return result;
  result.agrees = false;
  std::ostringstream reason;
  reason << result.wrongElements << " of " << count
         << " elements disagree; worst at " << formatIndex(want, worst)
         << ": expected " << readElement(want, worst) << ", got "
         << readElement(got, worst);
  result.reason = reason.str();
  return result;
}
