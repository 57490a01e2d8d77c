//===- gemm.c - speed of the panel kernel -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { Depth = 2048, Columns = 1536, PanelColumns = 16, MaxRows = 1024 };

/// A buffer of the compiler, two-dimensional and four-dimensional.
typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} Matrix;

typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[4], strides[4];
} Panels;

void _mlir_ciface_gemm(Matrix *a, Panels *p, Matrix *c);

/// Processor time of this thread, so that other programs disturb less.
static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

static float *allocate(size_t count) {
  void *memory = NULL;
  if (posix_memalign(&memory, 2 << 20, count * sizeof(float)) != 0)
    abort();
  memset(memory, 0, count * sizeof(float));
  return memory;
}

/// Floating-point operations per second of independent multiply-adds.
static double measurePeak(void) {
  enum { Chains = 12, Steps = 300000 };
  typedef float Vector __attribute__((vector_size(LANES * sizeof(float))));
  Vector sums[Chains], factor, term;
  for (int lane = 0; lane < LANES; ++lane) {
    factor[lane] = 0.5f;
    term[lane] = 0.1f;
  }
  // Unrolled, so that the sums live in registers.
#pragma GCC unroll 12
  for (int i = 0; i < Chains; ++i) {
    sums[i] = term;
    // The compiler must not see that all chains are the same.
    __asm__ volatile("" : "+v"(sums[i]));
  }
  double start = now();
  for (int step = 0; step < Steps; ++step) {
#pragma GCC unroll 12
    for (int i = 0; i < Chains; ++i)
      sums[i] = sums[i] * factor + term;
    __asm__ volatile("" : "+v"(sums[0]));
  }
  double seconds = now() - start;
  volatile float sink = 0;
#pragma GCC unroll 12
  for (int i = 0; i < Chains; ++i)
    sink += sums[i][0];
  return 2.0 * LANES * Chains * Steps / seconds;
}

static int compare(const void *left, const void *right) {
  double difference = *(const double *)left - *(const double *)right;
  return difference < 0 ? -1 : difference > 0;
}

int main(void) {
  enum { Samples = 15 };
  static const int rows[] = {1, 4, 16, 64, 256, MaxRows};
  float *a = allocate((size_t)MaxRows * Depth);
  float *p = allocate((size_t)Depth * Columns);
  float *c = allocate((size_t)MaxRows * Columns);
  printf("rows  fraction of the multiply-add peak  GB/s of weights\n");
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
    int64_t m = rows[i];
    Matrix left = {a, a, 0, {m, Depth}, {Depth, 1}};
    Matrix result = {c, c, 0, {m, Columns}, {Columns, 1}};
    Panels panels = {p,
                     p,
                     0,
                     {Columns / PanelColumns, Depth, PanelColumns, 1},
                     {Depth * PanelColumns, PanelColumns, 1, 1}};
    double fractions[Samples], bandwidths[Samples];
    int calls = m < 64 ? 64 / m : 1;
    for (int sample = 0; sample < Samples; ++sample) {
      double peak = measurePeak();
      double start = now();
      for (int call = 0; call < calls; ++call)
        _mlir_ciface_gemm(&left, &panels, &result);
      double seconds = (now() - start) / calls;
      fractions[sample] = 2.0 * m * Depth * Columns / seconds / peak;
      bandwidths[sample] = sizeof(float) * 1e-9 * Depth * Columns / seconds;
    }
    qsort(fractions, Samples, sizeof(double), compare);
    qsort(bandwidths, Samples, sizeof(double), compare);
    printf("%4ld  %33.3f  %15.1f\n", (long)m, fractions[Samples / 2],
           bandwidths[Samples / 2]);
  }
  return 0;
}
