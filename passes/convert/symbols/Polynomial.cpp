//===- Polynomial.cpp - extents in terms of symbols -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/symbols/Polynomial.h"

#include "llvm/ADT/STLExtras.h"

using namespace mlir;
using namespace mlir::moe;

std::optional<int64_t> Polynomial::getConstant() const {
  if (terms.empty())
    return 0;
  if (terms.size() == 1 && terms.begin()->first.empty())
    return terms.begin()->second;
  return std::nullopt;
}

bool Polynomial::isNonNegative() const {
  return llvm::all_of(terms, [](const auto &term) { return term.second >= 0; });
}

Polynomial Polynomial::operator+(const Polynomial &other) const {
  Polynomial result = *this;
  for (const auto &[symbols, coefficient] : other.terms)
    if ((result.terms[symbols] += coefficient) == 0)
      result.terms.erase(symbols);
  return result;
}

Polynomial Polynomial::operator*(const Polynomial &other) const {
  Polynomial result;
  for (const auto &[left, leftCoefficient] : terms)
    for (const auto &[right, rightCoefficient] : other.terms) {
      std::vector<std::string> symbols(left);
      symbols.insert(symbols.end(), right.begin(), right.end());
      llvm::sort(symbols);
      if ((result.terms[symbols] += leftCoefficient * rightCoefficient) == 0)
        result.terms.erase(symbols);
    }
  return result;
}

std::optional<Polynomial> Polynomial::divide(const Polynomial &other) const {
  if (other.terms.size() != 1)
    return std::nullopt;
  const auto &[divisor, divisorCoefficient] = *other.terms.begin();
  Polynomial result;
  for (const auto &[symbols, coefficient] : terms) {
    if (coefficient % divisorCoefficient != 0)
      return std::nullopt;
    std::vector<std::string> left(symbols);
    for (const std::string &symbol : divisor) {
      auto place = llvm::find(left, symbol);
      if (place == left.end())
        return std::nullopt;
      left.erase(place);
    }
    result.terms[left] = coefficient / divisorCoefficient;
  }
  return result;
}

std::string Polynomial::print() const {
  std::string text;
  for (const auto &[symbols, coefficient] : terms) {
    int64_t magnitude = coefficient < 0 ? -coefficient : coefficient;
    if (!text.empty())
      text += coefficient < 0 ? " - " : " + ";
    else if (coefficient < 0)
      text += "-";
    bool hasNumber = magnitude != 1 || symbols.empty();
    if (hasNumber)
      text += std::to_string(magnitude);
    for (auto [i, symbol] : llvm::enumerate(symbols))
      text += (i > 0 || hasNumber ? "*" : "") + symbol;
  }
  return text.empty() ? "0" : text;
}
