//===- LocalGroupTest.cpp - ranks that are threads -------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/comm/LocalGroup.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <thread>

using namespace moert;
using Rank = std::shared_ptr<Communicator>;

/// Runs `body` as each of `ranks` ranks.
static void runRanks(int ranks,
                     const std::function<void(Communicator &)> &body) {
  std::vector<Rank> group = makeLocalGroup(ranks);
  std::vector<std::thread> threads;
  for (Rank &rank : group)
    threads.emplace_back([&] { body(*rank); });
  for (std::thread &thread : threads)
    thread.join();
}

// Tests that every rank gets the count that every other one has for it, again
// and again.
TEST(LocalGroupTest, Counts) {
  runRanks(4, [](Communicator &own) {
    for (int64_t round = 0; round < 100; ++round) {
      std::vector<int64_t> counts;
      for (int to = 0; to < 4; ++to)
        counts.push_back(1000 * round + 10 * own.getRank() + to);
      ASSERT_TRUE(own.exchangeCounts(counts).ok());
      for (int from = 0; from < 4; ++from)
        EXPECT_EQ(counts[from], 1000 * round + 10 * from + own.getRank());
    }
  });
}

// Tests that messages of any size, empty ones too, arrive, and that those to
// other ranks are counted.
TEST(LocalGroupTest, Messages) {
  runRanks(3, [](Communicator &own) {
    std::vector<std::string> texts, got(3);
    std::vector<Communicator::Outgoing> outgoing;
    std::vector<Communicator::Incoming> incoming;
    for (int to = 0; to < 3; ++to)
      texts.emplace_back(own.getRank() * 5 + to, 'a' + own.getRank());
    for (int other = 0; other < 3; ++other) {
      got[other].resize(other * 5 + own.getRank());
      outgoing.push_back({texts[other].data(), int64_t(texts[other].size())});
      incoming.push_back({got[other].data(), int64_t(got[other].size())});
    }
    ASSERT_TRUE(own.exchange(outgoing, incoming).ok());
    int64_t sent = 0;
    for (int other = 0; other < 3; ++other) {
      EXPECT_EQ(got[other],
                std::string(other * 5 + own.getRank(), 'a' + other));
      if (other != own.getRank())
        sent += texts[other].size();
    }
    EXPECT_EQ(own.getBytesSent(), sent);
  });
}

// Tests that a message of another size than expected is an error.
TEST(LocalGroupTest, WrongSize) {
  runRanks(2, [](Communicator &own) {
    char bytes[8] = {};
    std::vector<Communicator::Outgoing> outgoing = {{bytes, 4}, {bytes, 4}};
    std::vector<Communicator::Incoming> incoming = {{bytes, 4}, {bytes, 4}};
    incoming[1 - own.getRank()].bytes = 5;
    Status status = own.exchange(outgoing, incoming);
    EXPECT_EQ(status.message(), "expected 5 bytes from rank " +
                                    std::to_string(1 - own.getRank()) +
                                    ", got 4");
  });
}

// Tests that a rank that fails ends the others at once.
TEST(LocalGroupTest, Abort) {
  runRanks(3, [](Communicator &own) {
    if (own.getRank() == 1)
      return own.abort();
    std::vector<int64_t> counts(3);
    EXPECT_EQ(own.exchangeCounts(counts).message(), "another rank has failed");
  });
}

// Tests that a rank that never comes is given up.
TEST(LocalGroupTest, Timeout) {
  setenv("MOE_RANK_TIMEOUT", "0.05", 1);
  runRanks(2, [](Communicator &own) {
    if (own.getRank() == 1)
      return;
    std::vector<int64_t> counts(2);
    EXPECT_EQ(own.exchangeCounts(counts).message(),
              "another rank did not answer in time");
  });
  unsetenv("MOE_RANK_TIMEOUT");
}
