//===- Terms.h - the summands of a result -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_TERMS_H
#define PASSES_CONVERT_RAISE_TERMS_H

#include "passes/convert/raise/IndexedValue.h"

#include <vector>

namespace mlir::moe {

/// The product of `main` and `gates`, summed over `summed`. Only `main` depends
/// on the width of the result.
struct Term {
  IndexedValue main;
  SmallVector<IndexedValue> gates;
  SmallVector<int> summed;
  /// The summand before its factors were read.
  IndexedValue whole;
  /// A mask without which the term was not computed, if there is one.
  Value condition;
};

/// Whether `op` adds rows of the same width: a sum, or a scatter that adds.
bool isSumOfRows(Operation *op);

/// The summands of `result`, whose width is counted by `out`. Sums with other
/// users are left whole. With a builder, factors are distributed over sums, and
/// selections are sums with masks as factors; masks may have to be built.
std::vector<Term> findTerms(Tracer &tracer, const IndexedValue &result, int out,
                            OpBuilder *builder = nullptr);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_TERMS_H
