//===- SessionWatchTest.cpp - what a session tells about its runs ---------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/core/SessionFixture.h"

#include <algorithm>

using namespace moert;

using SessionWatchTest = SessionTest;

// Tests that the arena keeps its place until it grows, and is counted.
TEST_F(SessionWatchTest, Arena) {
  open();
  for (size_t size : {1000, 500, 2000}) {
    x.resize(size, 3.0f);
    ASSERT_EQ(run(Arena), MOE_OK) << moe_error_message();
    expectOutput(session);
  }
  moe_session_statistics_t statistics = {};
  statistics.struct_size = offsetof(moe_session_statistics_t, arena_bytes);
  ASSERT_EQ(moe_session_statistics(session, &statistics), MOE_OK);
  EXPECT_GT(statistics.system_allocations, 0u);
  EXPECT_EQ(statistics.arena_bytes, 0u);
  statistics.struct_size = sizeof(statistics);
  ASSERT_EQ(moe_session_statistics(session, &statistics), MOE_OK);
  EXPECT_EQ(statistics.arena_bytes, 1000 * sizeof(float) + 2000);
}

// Tests that threads have numbers below their count.
TEST_F(SessionWatchTest, ThreadNumbers) {
  for (unsigned threads : {1u, 4u}) {
    open(MOE_WEIGHTS_READ, threads);
    ASSERT_EQ(run(ThreadNumbers), MOE_OK) << moe_error_message();
    moe_tensor_t y;
    ASSERT_EQ(moe_session_output(session, 0, &y), MOE_OK);
    auto *numbers = static_cast<const float *>(y.data);
    EXPECT_LT(*std::max_element(numbers, numbers + x.size()), float(threads));
    TearDown();
  }
  session = nullptr;
  program = nullptr;
}

// Tests that routing is recorded run after run, from every type of ids and
// weights, and only while recording is on.
TEST_F(SessionWatchTest, RecordedRouting) {
  open();
  moe_routing_t routing;
  size_t count;
  ASSERT_EQ(run(Routing), MOE_OK);
  ASSERT_EQ(moe_session_routing_count(session, &count), MOE_OK);
  EXPECT_EQ(count, 0u);
  EXPECT_EQ(moe_session_routing(session, 0, &routing),
            MOE_ERROR_INVALID_ARGUMENT);
  EXPECT_STREQ(moe_error_message(), "expected an expert layer below 0, got 0; "
                                    "nothing is recorded");
  ASSERT_EQ(moe_session_record_routing(session, 1), MOE_OK);
  for (int i = 0; i < 2; ++i)
    ASSERT_EQ(run(Routing), MOE_OK);
  ASSERT_EQ(moe_session_routing_count(session, &count), MOE_OK);
  ASSERT_EQ(count, 2u);
  ASSERT_EQ(moe_session_routing(session, 0, &routing), MOE_OK);
  EXPECT_EQ(routing.tokens, 8);
  EXPECT_EQ(routing.slots, 2);
  EXPECT_EQ(routing.experts, 4);
  EXPECT_EQ(routing.calls, 4);
  EXPECT_EQ(routing.call_tokens[3], 2);
  int32_t ids[] = {3, 1, 0, -1};
  float half[] = {1.0f, 0.5f, 0x1p-24f, -2.0f};
  float bfloat[] = {1.0f, 0.5f, 0.0f, -2.0f};
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(routing.ids[i], ids[i % 4]);
    EXPECT_EQ(routing.weights[i], (i / 4 % 2 ? bfloat : half)[i % 4]);
  }
  ASSERT_EQ(moe_session_routing(session, 1, &routing), MOE_OK);
  EXPECT_EQ(routing.tokens, 2);
  EXPECT_EQ(routing.ids[2], 2);
  EXPECT_EQ(routing.weights[3], 0.25f);
  ASSERT_EQ(moe_session_record_routing(session, 0), MOE_OK);
  ASSERT_EQ(moe_session_routing_count(session, &count), MOE_OK);
  EXPECT_EQ(count, 0u);
}

// Tests that a profile has each operation once for each run and every iteration
// of a loop in some piece, also where a run fails.
TEST_F(SessionWatchTest, Profile) {
  open();
  const moe_span_t *spans;
  size_t count;
  ASSERT_EQ(run(Marks), MOE_OK);
  ASSERT_EQ(moe_session_spans(session, &spans, &count), MOE_OK);
  EXPECT_EQ(count, 0u);
  ASSERT_EQ(moe_session_profile(session, 1), MOE_OK);
  ASSERT_EQ(run(Marks), MOE_OK);
  ASSERT_EQ(run(FailSerial), MOE_ERROR_RUN);
  ASSERT_EQ(run(Marks), MOE_OK);
  ASSERT_EQ(moe_session_spans(session, &spans, &count), MOE_OK);
  std::string order;
  size_t pieces = 0;
  for (size_t i = 0; i < count; ++i) {
    EXPECT_LE(spans[i].begin_ns, spans[i].end_ns);
    EXPECT_LT(spans[i].thread, 3u);
    if (i)
      EXPECT_LE(spans[i - 1].thread, spans[i].thread);
    if (spans[i].kind == MOE_SPAN_PIECE) {
      EXPECT_STREQ(spans[i].name, "parallel");
      ++pieces;
      continue;
    }
    EXPECT_EQ(spans[i].thread, 0u);
    order += std::string(spans[i].name) + " ";
  }
  EXPECT_EQ(order, "run serial parallel run run serial parallel ");
  EXPECT_GE(pieces, 2u);
  ASSERT_EQ(moe_session_profile(session, 0), MOE_OK);
  ASSERT_EQ(run(Marks), MOE_OK);
  ASSERT_EQ(moe_session_spans(session, &spans, &count), MOE_OK);
  EXPECT_EQ(count, 0u);
}
