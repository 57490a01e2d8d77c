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
  EmptyOutput,
  Arena,
  ThreadNumbers,
  Marks,
  Routing,
  Append
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

/* y = number of the thread; fails if that is not below the count. */
static void numberBody(void *context, int64_t begin, int64_t end) {
  const Loop *loop = context;
  int64_t number = moert_host->thread_index();
  if (number < 0 || number >= moert_host->thread_count())
    moert_host->fail("thread number out of range", number);
  for (int64_t i = begin; i < end; ++i)
    loop->y[i] = number;
}

/* The arena keeps its place and its contents until it grows. */
static void checkArena(int64_t size) {
  char *arena = moert_host->arena(size);
  arena[size - 1] = 17;
  if (moert_host->arena(size / 2) != arena || arena[size - 1] != 17)
    moert_host->fail("the arena has moved", 1);
}

/* Two tokens in layer 1 of two. */
static void recordRouting(void) {
  int64_t wideIds[] = {3, 1, 0, -1};
  uint16_t half[] = {0x3c00, 0x3800, 0x0001, 0xc000};
  uint16_t bfloat[] = {0x3f80, 0x3f00, 0x0000, 0xc000};
  int32_t ids[] = {2, 0};
  float weights[] = {0.75f, 0.25f};
  MoertRouting first = {2, 2, 4, wideIds, half, 64, 16, 0};
  MoertRouting again = {2, 2, 4, wideIds, bfloat, 64, 16, 1};
  MoertRouting second = {1, 2, 3, ids, weights, 32, 32, 0};
  moert_host->record_routing(0, &first);
  moert_host->record_routing(1, &second);
  moert_host->record_routing(0, &again);
}

typedef struct {
  MoertDescriptor head;
  int64_t sizes[2], strides[2];
} Matrix;

/* present = past with x in each of its rows, plus the number of the row. */
static void appendRows(const Vector *x) {
  Matrix present;
  moert_host->append(2, 1, 1, x->size, &present.head);
  float *data = present.head.aligned;
  int64_t held = present.sizes[1] - x->size;
  for (int64_t row = 0; row < present.sizes[0]; ++row)
    for (int64_t i = 0; i < x->size; ++i)
      data[row * present.strides[0] + held + i] =
          ((const float *)x->head.aligned)[i] + row;
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
  moert_host->release(0);
  if (mode == HugeAllocation)
    moert_host->allocate(UINT64_C(1) << 62);
  if (mode == Arena)
    checkArena(1000 * sizeof(float) + size);
  if (mode == Routing)
    recordRouting();
  if (mode == Append)
    appendRows(x);
  if (mode == Append && size && *(const float *)x->head.aligned < 0)
    moert_host->fail("negative", 1);
  if (mode == Marks)
    moert_host->mark("serial");
  if (mode == FailSerial)
    moert_host->fail("expected better input", 42);
  float *memory = moert_host->allocate(size * step * sizeof(float));
  Loop loop = {x->head.aligned, memory, step,
               mode == FailParallel ? size / 2 : -1};
  if (mode == Marks)
    moert_host->mark("parallel");
  moert_host->parallel(mode == ThreadNumbers ? numberBody : body, &loop, size,
                       1);

  y->head.allocated = y->head.aligned = memory;
  y->head.offset = 0;
  if (mode == OutputIsInput) {
    moert_host->release(memory);
    y->head = x->head;
  }
  y->size = size;
  y->stride = step;
}
