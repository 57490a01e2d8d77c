//===- ExpertModel.h - what a planner knows of a model ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_PLAN_PLACEMENT_EXPERTMODEL_H
#define PASSES_PLAN_PLACEMENT_EXPERTMODEL_H

#include <cstdint>
#include <string>
#include <vector>

namespace mlir::moe {

/// Which ranks have the row of a token outside the experts.
enum class TokenOwners { OneRank, AllRanks };

/// One layer of experts; the symbols are those of the moe dialect.
struct ExpertLayer {
  std::string name;
  /// E, K, H and F.
  int64_t experts = 0, slots = 0, hidden = 0, inner = 0;
  /// Matrices of one expert: 3 with a gate, else 2.
  int64_t matrices = 3;
  int64_t weightBits = 32, activationBits = 32;
  /// Groups of experts that a router restricts a token to; 1: none.
  int64_t groups = 1;

  int64_t getExpertBytes() const {
    return matrices * hidden * inner * weightBits / 8;
  }
  /// Floating-point operations of one assignment.
  int64_t getFlops() const { return 2 * matrices * hidden * inner; }

  /// What one token sends to a rank: its row, or the number of it where all
  /// ranks have all rows, and for each of its slots the id and the weight of
  /// the expert (an id of -1 where it lies elsewhere).
  int64_t getDispatchBytes(TokenOwners owners) const {
    int64_t row =
        owners == TokenOwners::OneRank ? hidden * activationBits / 8 : 8;
    return row + slots * 8;
  }
  /// What a rank sends back for it: the sum over the experts that lie there, in
  /// f32.
  int64_t getCombineBytes() const { return hidden * 4; }
};

struct ExpertModel {
  std::string name;
  /// Weights outside the experts; every token meets all of them.
  int64_t denseBytes = 0;
  std::vector<ExpertLayer> layers;
};

} // namespace mlir::moe

#endif // PASSES_PLAN_PLACEMENT_EXPERTMODEL_H
