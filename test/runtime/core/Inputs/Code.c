/* A code object for tests: y = 2 * x + weights[0], in ways that `mode` selects. */

#include "runtime/core/HostInterface.h"

#include <string.h>

__attribute__((visibility("default"))) const MoertHost *moert_host;
__attribute__((visibility("default"))) const unsigned char *moert_weights;

typedef struct {
  MoertDescriptor head;
  int64_t size, stride;
} Vector;

typedef struct {
  const float *x;
  float *y;
  int64_t step;
  int64_t failAt;
} Loop;

enum Mode {
  Plain,
  FailSerial,
  FailParallel,
  StridedOutput,
  OutputIsInput,
  HugeAllocation,
  EmptyOutput
};

static void body(void *context, int64_t begin, int64_t end) {
  const Loop *loop = context;
  float weight;
  memcpy(&weight, moert_weights, sizeof(weight));
  for (int64_t i = begin; i < end; ++i) {
    if (i == loop->failAt)
      moert_host->fail("index out of range", i);
    loop->y[i * loop->step] = 2 * loop->x[i] + weight;
  }
}

__attribute__((visibility("default"))) void moert_main(void **inputs,
                                                       void **outputs) {
  const Vector *x = inputs[0];
  const MoertDescriptor *modeInput = inputs[1];
  int64_t mode = *(const int64_t *)modeInput->aligned;
  Vector *y = outputs[0];
  int64_t step = mode == StridedOutput ? 3 : 1;
  int64_t size = mode == EmptyOutput ? 0 : x->size;

  /* Never released: the session must do that. */
  moert_host->allocate(1000);
  if (mode == HugeAllocation)
    moert_host->allocate(UINT64_C(1) << 62);
  if (mode == FailSerial)
    moert_host->fail("expected better input", 42);
  float *memory = moert_host->allocate(size * step * sizeof(float));
  Loop loop = {x->head.aligned, memory, step,
               mode == FailParallel ? size / 2 : -1};
  moert_host->parallel(body, &loop, size, 1);

  y->head.allocated = y->head.aligned = memory;
  y->head.offset = 0;
  if (mode == OutputIsInput) {
    moert_host->release(memory);
    y->head = x->head;
  }
  y->size = size;
  y->stride = step;
}
