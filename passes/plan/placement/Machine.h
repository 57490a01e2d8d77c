//===- Machine.h - ranks, nodes and the links between them ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_MACHINE_H
#define PASSES_PLAN_PLACEMENT_MACHINE_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

#include <cstdint>
#include <string>
#include <vector>

namespace llvm::json {
class Path;
class Value;
} // namespace llvm::json

namespace mlir::moe {

/// One process with its share of a machine.
struct Rank {
  double memoryBytes = 64e9;
  /// Floating-point operations per second of a large product of matrices.
  double flops = 500e9;
  /// Bytes per second at which weights are read.
  double memoryBandwidth = 40e9;
};

/// A message of n bytes takes `latency + n / bandwidth` seconds.
struct Link {
  double latency = 0, bandwidth = 0;
};

/// Ranks 0 to `ranksPerNode - 1` are on the first node, and so on.
struct Machine {
  std::string name = "default";
  int ranksPerNode = 1;
  std::vector<Rank> ranks;
  Link withinNode{1e-6, 10e9};
  Link betweenNodes{5e-6, 3e9};
  /// If not empty, a link for each pair of ranks, row by row of senders.
  std::vector<Link> links;

  int getNumRanks() const { return ranks.size(); }
  int getNumNodes() const { return getNumRanks() / ranksPerNode; }
  int getNode(int rank) const { return rank / ranksPerNode; }
  Link getLink(int from, int to) const;

  /// The same links between `ranks` ranks on `nodes` nodes; other ranks are as
  /// the first one. A machine with a link for each pair keeps its ranks.
  llvm::Expected<Machine> resize(int ranks, int nodes) const;

  /// From the text of a machine file; docs/placement.md describes it.
  static llvm::Expected<Machine> parse(llvm::StringRef json);
};

bool fromJSON(const llvm::json::Value &value, Machine &machine,
              llvm::json::Path path);
llvm::json::Value toJSON(const Machine &machine);

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_MACHINE_H
