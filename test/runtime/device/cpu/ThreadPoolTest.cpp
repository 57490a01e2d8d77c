//===- ThreadPoolTest.cpp - the threads of a session ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cpu/ThreadPool.h"

#include <gtest/gtest.h>

#include <numeric>

using namespace moert;

namespace {

struct Visits {
  explicit Visits(int64_t count) : times(count) {}
  static void visit(void *context, int64_t begin, int64_t end) {
    auto &visits = *static_cast<Visits *>(context);
    for (int64_t i = begin; i < end; ++i)
      ++visits.times[i];
    visits.smallest = std::min<int64_t>(visits.smallest, end - begin);
  }
  bool all(int wanted) const {
    return std::all_of(times.begin(), times.end(),
                       [&](int time) { return time == wanted; });
  }
  std::vector<int> times;
  std::atomic<int64_t> smallest{INT64_MAX};
};

} // namespace

// Tests that every iteration runs exactly once, for counts around the number of
// pieces and after pauses in which the workers fall asleep.
TEST(ThreadPoolTest, EveryIterationRunsOnce) {
  ThreadPool pool(4, [](unsigned) {});
  for (int64_t count : {0, 1, 2, 3, 15, 16, 17, 1000, 100003}) {
    Visits visits(count);
    pool.parallel(Visits::visit, &visits, count, 1);
    EXPECT_TRUE(visits.all(1)) << count;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

// Tests many short loops in a row: a late worker must not touch the next loop.
TEST(ThreadPoolTest, ShortLoops) {
  ThreadPool pool(3, [](unsigned) {});
  Visits visits(64);
  for (int i = 0; i < 20000; ++i)
    pool.parallel(Visits::visit, &visits, 64, 1);
  EXPECT_TRUE(visits.all(20000));
}

// Tests that no piece but the last is smaller than the grain.
TEST(ThreadPoolTest, GrainIsRespected) {
  ThreadPool pool(4, [](unsigned) {});
  Visits visits(1000);
  pool.parallel(Visits::visit, &visits, 1000, 250);
  EXPECT_TRUE(visits.all(1));
  EXPECT_EQ(visits.smallest, 250);
}

// Tests that a loop inside a loop runs whole on the thread that meets it.
TEST(ThreadPoolTest, NestedLoopsRunInline) {
  struct Context {
    ThreadPool pool{4, [](unsigned) {}};
    std::vector<int> sums = std::vector<int>(100);
  } context;
  auto outer = [](void *opaque, int64_t begin, int64_t end) {
    auto &context = *static_cast<Context *>(opaque);
    EXPECT_TRUE(ThreadPool::isInParallel());
    for (int64_t i = begin; i < end; ++i)
      context.pool.parallel(
          [](void *sum, int64_t begin, int64_t end) {
            for (int64_t j = begin; j < end; ++j)
              *static_cast<int *>(sum) += j;
          },
          &context.sums[i], 50, 1);
  };
  context.pool.parallel(outer, &context, 100, 1);
  EXPECT_FALSE(ThreadPool::isInParallel());
  for (int sum : context.sums)
    EXPECT_EQ(sum, 49 * 50 / 2);
}

// Tests a pool without workers, and that each worker is prepared with its
// number.
TEST(ThreadPoolTest, WorkersArePrepared) {
  std::atomic<int> prepared{0};
  {
    ThreadPool pool(5, [&](unsigned number) { prepared += number; });
    EXPECT_EQ(pool.getThreadCount(), 5u);
  }
  EXPECT_EQ(prepared, 1 + 2 + 3 + 4);
  ThreadPool alone(1, [](unsigned) {});
  Visits visits(10);
  alone.parallel(Visits::visit, &visits, 10, 1);
  EXPECT_TRUE(visits.all(1));
}
