//===- Polynomial.h - extents in terms of symbols ---------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_SYMBOLS_POLYNOMIAL_H
#define PASSES_CONVERT_SYMBOLS_POLYNOMIAL_H

#include "mlir/Support/LLVM.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace mlir::moe {

/// A sum of products of symbols (extents of tensors, which are not negative)
/// with integer coefficients. Equal polynomials are equal numbers in each run.
class Polynomial {
public:
  Polynomial(int64_t constant = 0) {
    if (constant != 0)
      terms[{}] = constant;
  }
  static Polynomial symbol(StringRef name) {
    Polynomial result;
    result.terms[{name.str()}] = 1;
    return result;
  }

  bool operator==(const Polynomial &other) const {
    return terms == other.terms;
  }

  std::optional<int64_t> getConstant() const;
  /// Whether no symbol can make it negative.
  bool isNonNegative() const;

  Polynomial operator+(const Polynomial &other) const;
  Polynomial operator*(const Polynomial &other) const;
  Polynomial operator-(const Polynomial &other) const {
    return *this + other * Polynomial(-1);
  }
  /// The quotient if `other` is one term and divides each term.
  std::optional<Polynomial> divide(const Polynomial &other) const;

  /// A name of its own: the symbol if it is one, else "2*batch + past".
  std::string print() const;

private:
  /// Sorted symbols, with their coefficient.
  std::map<std::vector<std::string>, int64_t> terms;
};

} // namespace mlir::moe

#endif // PASSES_CONVERT_SYMBOLS_POLYNOMIAL_H
