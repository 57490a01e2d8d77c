//===- Plan.h - a model spread over the ranks of a machine ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_PLAN_H
#define PASSES_PLAN_PLACEMENT_PLAN_H

#include "passes/plan/placement/ExpertModel.h"
#include "passes/plan/placement/Machine.h"
#include "passes/plan/placement/Placement.h"
#include "passes/plan/placement/RoutingTrace.h"

namespace llvm::json {
class Object;
class Path;
class Value;
} // namespace llvm::json

namespace mlir::moe {

enum class PlannerKind { Search, Greedy, RoundRobin, Random };

llvm::StringRef getPlannerName(PlannerKind kind);
std::optional<PlannerKind> parsePlanner(llvm::StringRef name);

/// How the weights outside the experts are held.
enum class DenseKind {
  /// Every rank has all of them and computes tokens of its own.
  Replicated,
  /// Every rank has all of them and computes all tokens.
  Repeated,
  /// Every rank has a part of each matrix and computes all tokens.
  Sharded
};

llvm::StringRef getDenseName(DenseKind kind);
std::optional<DenseKind> parseDense(llvm::StringRef name);

inline TokenOwners getTokenOwners(DenseKind kind) {
  return kind == DenseKind::Replicated ? TokenOwners::OneRank
                                       : TokenOwners::AllRanks;
}

struct PlanOptions {
  PlannerKind planner = PlannerKind::Search;
  /// Replicas of a layer beyond one of each expert.
  int64_t extraReplicas = 0;
  /// Tokens of a step, over all ranks, that the plan is made for.
  int64_t tokens = 0;
  /// For the random planner.
  uint64_t seed = 0;
  /// The fastest way to hold dense weights, if not given; of those that share
  /// the work.
  std::optional<DenseKind> dense = {};
};

struct LayerPlan {
  LayerPlacement placement;
  std::vector<ExchangeChoice> exchange;
  /// Why, one line each.
  std::vector<std::string> remarks;
};

struct Plan {
  ExpertModel model;
  Machine machine;
  /// What the plan was made from and for.
  std::string trace;
  PlanOptions options;
  DenseKind dense = DenseKind::Replicated;
  /// Seconds of a step outside the expert layers.
  double denseSeconds = 0;
  std::vector<std::string> remarks;
  std::vector<LayerPlan> layers;
};

/// Spreads `model` over `machine`; `trace`, which fits the model, says which
/// experts tokens choose. Fails if the weights do not fit into the memory of
/// the ranks.
llvm::Expected<Plan> makePlan(const ExpertModel &model, const Machine &machine,
                              const RoutingTrace &trace,
                              const PlanOptions &options);

/// What a plan file holds; docs/placement.md describes it.
llvm::json::Object toJSON(const Plan &plan);

/// Its parts, which manifests of artifacts hold, too.
llvm::json::Value toJSON(const ExpertModel &model);
llvm::json::Value toJSON(const ExchangeChoice &choice);
bool fromJSON(const llvm::json::Value &value, ExpertModel &model,
              llvm::json::Path path);

/// Reads a plan file, or a description of a model without a plan: `layers` is
/// then empty.
llvm::Expected<Plan> parsePlan(llvm::StringRef json);

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_PLAN_H
