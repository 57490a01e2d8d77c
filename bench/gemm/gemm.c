//===- gemm.c - speed of the panel kernel -----------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

// The unit of a panel, from the command line: UNIT_ROWS rows of the matrix take
// UNIT_SIZE elements of ELEMENT_BYTES for each column.
enum {
  Depth = 2048,
  Columns = 1536,
  PanelColumns = 16,
  MaxRows = 1024,
  Units = (Depth + UNIT_ROWS - 1) / UNIT_ROWS,
  PanelElements = Units * PanelColumns * UNIT_SIZE,
};
static const size_t MatrixBytes =
    (size_t)PanelElements * ELEMENT_BYTES * Columns / PanelColumns;
/// Matrices that follow each other, so that each comes from memory.
static const size_t ColdBytes = (size_t)768 << 20;

/// A buffer of the compiler, two-dimensional and four-dimensional.
typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} Matrix;

typedef struct {
  char *allocated, *aligned;
  int64_t offset, sizes[4], strides[4];
} Panels;

void _mlir_ciface_gemm(Matrix *a, Panels *p, Matrix *c);

/// Processor time of this thread, so that other programs disturb less.
static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return time.tv_sec + 1e-9 * time.tv_nsec;
}

static void *allocate(size_t bytes) {
  void *memory = NULL;
  if (posix_memalign(&memory, 2 << 20, bytes) != 0)
    abort();
  madvise(memory, bytes, MADV_HUGEPAGE);
  memset(memory, 0, bytes);
  return memory;
}

/// Bytes per second that this thread reads from memory, from the next
/// `ProbeBytes` of the matrices.
static double measureBandwidth(const char *memory) {
  enum { ProbeBytes = 64 << 20, Streams = 8 };
  typedef uint64_t Vector __attribute__((vector_size(LANES * 4)));
  static size_t place;
  place = (place + ProbeBytes) % ColdBytes;
  const size_t count = ProbeBytes / sizeof(Vector) / Streams;
  const Vector *start = (const Vector *)(memory + place);
  Vector sums[Streams] = {{0}};
  double begin = now();
  for (size_t i = 0; i < count; ++i)
#pragma GCC unroll 8
    for (int stream = 0; stream < Streams; ++stream)
      sums[stream] ^= start[stream * count + i];
  double seconds = now() - begin;
  for (int stream = 0; stream < Streams; ++stream)
    __asm__ volatile("" : : "v"(sums[stream]));
  return ProbeBytes / seconds;
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
  static const int rows[] = {1, 2, 4, 16, 64, 256, MaxRows};
  float *a = allocate(sizeof(float) * MaxRows * Depth);
  char *p = allocate(ColdBytes);
  float *c = allocate(sizeof(float) * MaxRows * Columns);
  const size_t copies = ColdBytes / MatrixBytes;
  size_t copy = 0;
  printf("rows  fraction of the multiply-add peak  GB/s of weights  fraction "
         "of the read bandwidth\n");
  for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); ++i) {
    int64_t m = rows[i];
    Matrix left = {a, a, 0, {m, Depth}, {Depth, 1}};
    Matrix result = {c, c, 0, {m, Columns}, {Columns, 1}};
    double peaks[Samples], rates[Samples], reads[Samples];
    int calls = m < 64 ? 64 / m : 1;
    for (int sample = 0; sample < Samples; ++sample) {
      double peak = measurePeak(), bandwidth = measureBandwidth(p);
      double start = now();
      for (int call = 0; call < calls; ++call) {
        char *own = p + copy++ % copies * MatrixBytes;
        Panels panels = {
            own,
            own,
            0,
            {Columns / PanelColumns, Units, PanelColumns, UNIT_SIZE},
            {PanelElements, PanelColumns * UNIT_SIZE, UNIT_SIZE, 1}};
        _mlir_ciface_gemm(&left, &panels, &result);
      }
      double seconds = (now() - start) / calls;
      peaks[sample] = 2.0 * m * Depth * Columns / seconds / peak;
      rates[sample] = MatrixBytes / seconds;
      reads[sample] = rates[sample] / bandwidth;
    }
    qsort(peaks, Samples, sizeof(double), compare);
    qsort(rates, Samples, sizeof(double), compare);
    qsort(reads, Samples, sizeof(double), compare);
    printf("%4ld  %33.3f  %15.1f  %30.3f\n", (long)m, peaks[Samples / 2],
           1e-9 * rates[Samples / 2], reads[Samples / 2]);
  }
  return 0;
}
