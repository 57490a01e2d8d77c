//===- Clocks.h - vector clocks ---------------------------------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_CHECK_CLOCKS_H
#define RUNTIME_DEVICE_EMULATED_CHECK_CLOCKS_H

#include <algorithm>
#include <cstdint>
#include <vector>

namespace emulated {

/// How much of each agent's past is known: a number for each agent, zero
/// where the vector ends.
class VectorClock {
public:
  uint32_t get(unsigned agent) const {
    return agent < times.size() ? times[agent] : 0;
  }
  void set(unsigned agent, uint32_t time) {
    if (agent >= times.size())
      times.resize(agent + 1);
    times[agent] = time;
  }
  void join(const VectorClock &other) {
    if (other.times.size() > times.size())
      times.resize(other.times.size());
    for (size_t i = 0; i < other.times.size(); ++i)
      times[i] = std::max(times[i], other.times[i]);
  }

private:
  std::vector<uint32_t> times;
};

/// What a thread knows, or what a barrier hands on: accesses, and those of the
/// generic proxy that the asynchronous proxy sees too.
struct Knowledge {
  VectorClock seen, fenced;

  void join(const Knowledge &other) {
    seen.join(other.seen);
    fenced.join(other.fenced);
  }
};

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_CHECK_CLOCKS_H
