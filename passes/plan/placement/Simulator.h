//===- Simulator.h - runs a routing trace through a plan --------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The trace is cut into steps. The tokens of a step are spread over the ranks
// in order (`getFirstToken`), every rank deals its assignments out to replicas
// in turn, and every row that has to travel is counted. So the bytes are those
// that ranks really send (counts of rows, which tell ranks what comes, do not
// count), the seconds are those of the cost model.
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_SIMULATOR_H
#define PASSES_PLAN_PLACEMENT_SIMULATOR_H

#include "passes/plan/placement/Plan.h"

namespace mlir::moe {

/// Bytes between ranks, over all steps.
class LinkBytes {
public:
  explicit LinkBytes(int ranks) : ranks(ranks), bytes(size_t(ranks) * ranks) {}

  void add(int from, int to, int64_t count) {
    bytes[size_t(from) * ranks + to] += count;
  }
  int64_t get(int from, int to) const {
    return bytes[size_t(from) * ranks + to];
  }
  int64_t getSent(int rank) const;
  int64_t getReceived(int rank) const;
  int64_t getTotal() const;
  /// Bytes between ranks of different nodes.
  int64_t getBetweenNodes(const Machine &machine) const;

private:
  int ranks;
  std::vector<int64_t> bytes;
};

/// What happens in one layer, over all steps.
struct LayerSimulation {
  /// Seconds of the slowest rank, added up over the steps, and what they would
  /// be if all ranks were equally busy.
  double seconds = 0, balancedSeconds = 0;
  /// For each rank: assignments it served, seconds it computed and exchanged.
  std::vector<double> assignments, compute, exchange;
  int64_t bytes = 0;
};

struct Simulation {
  explicit Simulation(int ranks) : links(ranks) {}

  int64_t steps = 0, tokens = 0;
  /// Seconds of one step on average, dense weights included.
  double stepSeconds = 0;
  std::vector<LayerSimulation> layers;
  LinkBytes links;
  /// Bytes if a row were sent for each assignment to another rank, and those of
  /// them between nodes; what ranks tell each other of results is the same.
  int64_t perExpertBytes = 0, perExpertBytesBetweenNodes = 0;
  /// The mean over the layers of (max - mean) / mean of the ranks' assignments.
  double imbalance = 0;
};

/// Runs `trace`, in steps of `plan.options.tokens`, through `plan`.
Simulation simulate(const Plan &plan, const RoutingTrace &trace);

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_SIMULATOR_H
