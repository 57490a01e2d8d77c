//===- AllocationsTest.cpp - runs that allocate nothing -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/core/SessionFixture.h"

#include <atomic>

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
// Sanitizers have an allocator of their own.
#define MOERT_COUNTS_ALLOCATIONS 0
#endif
#endif
#ifndef MOERT_COUNTS_ALLOCATIONS
#define MOERT_COUNTS_ALLOCATIONS 1
#endif

static std::atomic<uint64_t> allocations{0};

#if MOERT_COUNTS_ALLOCATIONS
// The functions of the C library, counted; those of C++ call them.
extern "C" {
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes) {
  ++allocations;
  return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
  ++allocations;
  return __libc_calloc(count, bytes);
}
void *realloc(void *memory, size_t bytes) {
  ++allocations;
  return __libc_realloc(memory, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes) {
  ++allocations;
  return __libc_memalign(alignment, bytes);
}
}
#endif

using namespace moert;

using AllocationsTest = SessionTest;

// Tests that after the first runs no run allocates, on any thread.
TEST_F(AllocationsTest, NoneAfterWarmUp) {
  if (!MOERT_COUNTS_ALLOCATIONS)
    GTEST_SKIP() << "allocations are not counted in a sanitizer";
  open();
  for (int64_t mode : {Plain, StridedOutput, Arena, Marks, EmptyOutput})
    for (int i = 0; i < 3; ++i)
      ASSERT_EQ(run(mode), MOE_OK) << moe_error_message();
  uint64_t before = allocations;
  // The counter counts.
  int64_t *volatile number = new int64_t(0);
  delete number;
  ASSERT_EQ(allocations, before + 1);
  for (int64_t mode : {Plain, StridedOutput, Arena, Marks, EmptyOutput}) {
    before = allocations;
    for (int i = 0; i < 10; ++i)
      if (run(mode) != MOE_OK)
        FAIL() << moe_error_message();
    EXPECT_EQ(allocations - before, 0u) << "mode " << mode;
  }
}
