//===- Products.h - sums of products ----------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_PRODUCTS_H
#define PASSES_CONVERT_RAISE_PRODUCTS_H

#include "passes/convert/raise/IndexedValue.h"

namespace mlir::moe {

/// The sum of the product of `factors` over all values of the labels `summed`.
struct Product {
  SmallVector<IndexedValue> factors;
  SmallVector<int> summed;
};

/// What one operator multiplies and adds: a matrix product, an Einsum, an
/// element-wise product, a sum over dimensions. Nothing for others.
std::optional<Product> getProduct(Tracer &tracer, const IndexedValue &indexed);

/// The same for products of matrices alone. With `withoutAddend` also for a
/// Gemm that adds something, which is left to the caller.
std::optional<Product> getContraction(Tracer &tracer,
                                      const IndexedValue &indexed,
                                      bool withoutAddend = false);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_PRODUCTS_H
