//===- PlanReport.h - plans for people and programs -----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_PLANREPORT_H
#define COMPILER_TOOLS_MOEC_PLANREPORT_H

#include "passes/plan/placement/Simulator.h"

#include "llvm/Support/JSON.h"
#include "llvm/Support/raw_ostream.h"

/// A plan with what running `trace` through it promises.
struct PredictedPlan {
  mlir::moe::Plan plan;
  mlir::moe::Simulation simulation;

  PredictedPlan(mlir::moe::Plan plan, const mlir::moe::RoutingTrace &trace);
};

/// Prints what the planner chose for each layer, why, and what it promises.
void printPlan(const PredictedPlan &predicted, llvm::raw_ostream &stream);

/// Prints what changes from `before` to `after`, plans of one model.
void printPlanDiff(const PredictedPlan &before, const PredictedPlan &after,
                   llvm::raw_ostream &stream);

/// The plan file with the prediction as a further key, "predicted".
llvm::json::Object toJSON(const PredictedPlan &predicted,
                          const mlir::moe::RoutingTrace &trace);

/// A self-contained page with pictures of what `toJSON` gives.
std::string makePlanPage(const llvm::json::Object &plan);

#endif // COMPILER_TOOLS_MOEC_PLANREPORT_H
