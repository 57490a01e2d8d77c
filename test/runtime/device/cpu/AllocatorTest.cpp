//===- AllocatorTest.cpp - the memory of a session ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cpu/Allocator.h"

#include <gtest/gtest.h>

#include <cstring>
#include <thread>
#include <vector>

using namespace moert;

// Tests that blocks of all sizes are aligned, writable and apart.
TEST(AllocatorTest, BlocksAreAligned) {
  Allocator allocator;
  std::vector<std::pair<char *, size_t>> blocks;
  for (size_t bytes : {0, 1, 63, 64, 65, 80, 81, 127, 128, 129, 1000, 4096,
                       100000, 2097087, 2097088, 2097152, 5000001}) {
    auto *memory = static_cast<char *>(allocator.allocate(bytes));
    ASSERT_NE(memory, nullptr);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u) << bytes;
    std::memset(memory, static_cast<int>(blocks.size()), bytes);
    blocks.emplace_back(memory, bytes);
  }
  for (size_t i = 0; i < blocks.size(); ++i)
    for (size_t j = 0; j < blocks[i].second; ++j)
      ASSERT_EQ(blocks[i].first[j], static_cast<char>(i));
  for (auto [memory, bytes] : blocks)
    allocator.release(memory);
}

// Tests a block beyond 32 bits; memory that is not touched costs nothing.
TEST(AllocatorTest, LargeBlock) {
  Allocator allocator;
  uint64_t bytes = (uint64_t(5) << 30) + 1;
  auto *memory = static_cast<char *>(allocator.allocate(bytes));
  ASSERT_NE(memory, nullptr);
  memory[0] = memory[bytes - 1] = 1;
  allocator.release(memory);
}

// Tests that a size that does not exist gives null.
TEST(AllocatorTest, TooMuchIsNull) {
  Allocator allocator;
  EXPECT_EQ(allocator.allocate(UINT64_MAX), nullptr);
  EXPECT_EQ(allocator.allocate(uint64_t(1) << 47), nullptr);
}

// Tests that a repeated pattern of requests stops asking the system.
TEST(AllocatorTest, MemoryIsRecycled) {
  Allocator allocator;
  auto work = [&] {
    void *first = allocator.allocate(1000);
    void *second = allocator.allocate(3000000);
    allocator.release(first);
    // Left behind, as by a run that failed.
    allocator.allocate(1000);
    (void)second;
    allocator.releaseAll();
  };
  work();
  uint64_t before = allocator.getSystemCalls();
  for (int i = 0; i < 100; ++i)
    work();
  EXPECT_EQ(allocator.getSystemCalls(), before);
}

// Tests that a kept block outlives the others, and that only starts of blocks
// in use are recognised.
TEST(AllocatorTest, KeptBlocksStay) {
  Allocator allocator;
  auto *kept = static_cast<char *>(allocator.allocate(100));
  auto *other = static_cast<char *>(allocator.allocate(100));
  EXPECT_TRUE(allocator.isInUse(kept));
  EXPECT_FALSE(allocator.isInUse(kept + 1));
  allocator.keep(kept);
  EXPECT_FALSE(allocator.isInUse(kept));
  std::strcpy(kept, "still here");
  allocator.releaseAll();
  EXPECT_EQ(allocator.allocate(100), other);
  EXPECT_NE(allocator.allocate(100), kept);
  EXPECT_STREQ(kept, "still here");
  allocator.release(kept);
  EXPECT_EQ(allocator.allocate(100), kept);
}

// Tests use by several threads at once.
TEST(AllocatorTest, Threads) {
  Allocator allocator;
  auto work = [&](int seed) {
    for (int i = 0; i < 2000; ++i) {
      size_t bytes = (i * 37 + seed * 1001) % 5000 + sizeof(int);
      auto *memory = static_cast<int *>(allocator.allocate(bytes));
      *memory = seed;
      std::this_thread::yield();
      EXPECT_EQ(*memory, seed);
      allocator.release(memory);
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back(work, i);
  for (std::thread &thread : threads)
    thread.join();
}
