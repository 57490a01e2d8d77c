//===- HugePages.cpp - large pieces of memory -----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cpu/HugePages.h"

#include <sys/mman.h>

using namespace moert;

static constexpr uint64_t kPageBytes = 4096;

static uint64_t roundUp(uint64_t bytes, uint64_t multiple) {
  return (bytes + multiple - 1) / multiple * multiple;
}

void *moert::mapHugePages(uint64_t bytes) {
  uint64_t wanted = roundUp(bytes, kPageBytes);
  uint64_t reserved = wanted + kHugePageBytes;
  void *memory = mmap(nullptr, reserved, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return nullptr;
  // Cut the ends off so that the middle is aligned.
  auto begin = reinterpret_cast<uintptr_t>(memory);
  uintptr_t aligned = roundUp(begin, kHugePageBytes);
  if (aligned > begin)
    munmap(memory, aligned - begin);
  if (uint64_t tail = begin + reserved - (aligned + wanted))
    munmap(reinterpret_cast<void *>(aligned + wanted), tail);
  memory = reinterpret_cast<void *>(aligned);
  // Only advice: without huge pages everything works, a little slower.
  madvise(memory, wanted, MADV_HUGEPAGE);
  return memory;
}

void moert::unmapMemory(void *memory, uint64_t bytes) {
  munmap(memory, roundUp(bytes, kPageBytes));
}
