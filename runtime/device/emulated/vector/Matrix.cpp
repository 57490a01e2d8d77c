//===- Matrix.cpp - products of small matrices ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/vector/Numbers.h"
#include "runtime/device/emulated/vector/Operations.h"

#include <type_traits>

using namespace emulated;

namespace {

/// Columns come in multiples of 8. One accumulator row stays in registers
/// while its factors pass.
template <typename T, unsigned kBlock>
EMULATED_INLINE void multiplyBlock(T *c, const T *a, const T *b,
                                   unsigned columns, unsigned depth) {
  T sums[kBlock];
  for (unsigned n = 0; n < kBlock; ++n)
    sums[n] = c[n];
  for (unsigned k = 0; k < depth; ++k)
    for (unsigned n = 0; n < kBlock; ++n)
      if constexpr (std::is_same_v<T, float>)
        sums[n] = __builtin_fmaf(a[k], b[k * columns + n], sums[n]);
      else
        sums[n] = T((uint32_t)sums[n] +
                    (uint32_t)a[k] * (uint32_t)b[k * columns + n]);
  for (unsigned n = 0; n < kBlock; ++n)
    c[n] = sums[n];
}

template <typename T>
EMULATED_INLINE void multiply(T *c, const T *a, const T *b, unsigned rows,
                              unsigned columns, unsigned depth) {
  for (unsigned row = 0; row < rows; ++row, a += depth, c += columns) {
    unsigned n = 0;
    for (; n + 64 <= columns; n += 64)
      multiplyBlock<T, 64>(c + n, a, b + n, columns, depth);
    for (; n + 8 <= columns; n += 8)
      multiplyBlock<T, 8>(c + n, a, b + n, columns, depth);
  }
}

} // namespace

void MOE_VECTOR_ISA::multiplyFloat(float *c, const float *a, const float *b,
                                   unsigned rows, unsigned columns,
                                   unsigned depth) {
  multiply(c, a, b, rows, columns, depth);
}

void MOE_VECTOR_ISA::multiplyInteger(int32_t *c, const int32_t *a,
                                     const int32_t *b, unsigned rows,
                                     unsigned columns, unsigned depth) {
  multiply(c, a, b, rows, columns, depth);
}

void MOE_VECTOR_ISA::widenF16(float *to, const uint16_t *from, unsigned count) {
  for (unsigned i = 0; i < count; ++i)
    to[i] = halfToFloat(from[i]);
}

void MOE_VECTOR_ISA::widenBF16(float *to, const uint16_t *from,
                               unsigned count) {
  for (unsigned i = 0; i < count; ++i)
    to[i] = bfloatToFloat(from[i]);
}
