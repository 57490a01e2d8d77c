//===- Allocator.cpp - the memory of a session ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cpu/Allocator.h"

#include "runtime/device/cpu/HugePages.h"

#include <cstdlib>
#include <new>

using namespace moert;

// AddressSanitizer, if it is in the process: code that was compiled to check
// its accesses then finds those beyond the bytes that were asked for.
extern "C" {
__attribute__((weak)) void __asan_poison_memory_region(const volatile void *,
                                                       size_t);
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void *,
                                                         size_t);
}

static void forbidAccess(const void *memory, uint64_t bytes) {
  if (__asan_poison_memory_region)
    __asan_poison_memory_region(memory, bytes);
}

static void permitAccess(const void *memory, uint64_t bytes) {
  if (__asan_unpoison_memory_region)
    __asan_unpoison_memory_region(memory, bytes);
}

/// Stands before the memory that it describes.
struct alignas(64) Allocator::Block {
  Block *previous;
  Block *next;
  uint64_t bytes;
  uint32_t sizeClass;
  enum State : uint32_t { Free, Used, Kept } state;

  void *getMemory() { return this + 1; }
  static Block *get(const void *memory) {
    return static_cast<Block *>(const_cast<void *>(memory)) - 1;
  }
};

/// Blocks from this size on lie in huge pages.
static constexpr uint64_t kHugeBytes = kHugePageBytes;
static constexpr uint64_t kSmallestBytes = 64;
/// The address space of a process.
static constexpr uint64_t kLargestBytes = uint64_t(1) << 47;

/// Sizes grow by a quarter of a power of two.
unsigned Allocator::getClass(uint64_t bytes) {
  if (bytes <= kSmallestBytes)
    return 0;
  // (4 + quarter) * 2^exponent is the smallest class that holds `bytes`.
  unsigned exponent = 63 - __builtin_clzll(bytes - 1) - 2;
  uint64_t quarter = ((bytes - 1) >> exponent) - 4;
  return (exponent - 4) * 4 + quarter + 1;
}

uint64_t Allocator::getClassBytes(unsigned index) {
  if (index == 0)
    return kSmallestBytes;
  unsigned exponent = (index - 1) / 4 + 4;
  uint64_t bytes = uint64_t(4 + (index - 1) % 4 + 1) << exponent;
  return (bytes + 63) & ~uint64_t(63);
}

Allocator::~Allocator() {
  // Kept blocks are released by their holder before the allocator goes.
  releaseAll();
  for (Block *block : available)
    while (block) {
      Block *next = block->next;
      freeBlock(block);
      block = next;
    }
}

void Allocator::freeBlock(Block *block) {
  permitAccess(block->getMemory(), block->bytes);
  if (block->bytes + sizeof(Block) >= kHugeBytes)
    unmapMemory(block, block->bytes + sizeof(Block));
  else
    std::free(block);
}

void *Allocator::allocate(uint64_t bytes) {
  if (bytes > kLargestBytes)
    return nullptr;
  unsigned sizeClass = getClass(bytes);
  std::lock_guard<std::mutex> lock(mutex);
  Block *block = available[sizeClass];
  if (block) {
    available[sizeClass] = block->next;
  } else {
    uint64_t blockBytes = getClassBytes(sizeClass);
    uint64_t total = blockBytes + sizeof(Block);
    void *memory = total >= kHugeBytes ? mapHugePages(total)
                                       : std::aligned_alloc(64, total);
    if (!memory)
      return nullptr;
    ++systemCalls;
    block = new (memory) Block();
    block->bytes = blockBytes;
    block->sizeClass = sizeClass;
  }
  block->state = Block::Used;
  block->previous = nullptr;
  block->next = used;
  if (used)
    used->previous = block;
  used = block;
  forbidAccess(block->getMemory(), block->bytes);
  permitAccess(block->getMemory(), bytes);
  return block->getMemory();
}

void Allocator::unlink(Block *block) {
  (block->previous ? block->previous->next : used) = block->next;
  if (block->next)
    block->next->previous = block->previous;
}

void Allocator::recycle(Block *block) {
  forbidAccess(block->getMemory(), block->bytes);
  block->state = Block::Free;
  block->next = available[block->sizeClass];
  available[block->sizeClass] = block;
}

void Allocator::release(void *memory) {
  if (!memory)
    return;
  Block *block = Block::get(memory);
  std::lock_guard<std::mutex> lock(mutex);
  if (block->state == Block::Used)
    unlink(block);
  recycle(block);
}

void Allocator::keep(void *memory) {
  Block *block = Block::get(memory);
  std::lock_guard<std::mutex> lock(mutex);
  unlink(block);
  block->state = Block::Kept;
}

void Allocator::releaseAll() {
  std::lock_guard<std::mutex> lock(mutex);
  while (used) {
    Block *block = used;
    unlink(block);
    recycle(block);
  }
}

bool Allocator::isInUse(const void *memory) {
  std::lock_guard<std::mutex> lock(mutex);
  for (Block *block = used; block; block = block->next)
    if (block->getMemory() == memory)
      return true;
  return false;
}
