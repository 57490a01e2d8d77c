//===- RouterMatch.h - routers as attributes --------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_CONVERT_RAISE_ROUTERMATCH_H
#define PASSES_CONVERT_RAISE_ROUTERMATCH_H

#include "dialects/moe/MoEDialect.h"
#include "passes/convert/raise/DataFlow.h"

#include <string>

namespace mlir::moe {

/// What `moe.route` says, before the operation exists.
struct RouterMatch {
  Value logits, selectBias, expertScale;
  int64_t topK = 0;
  Score score = Score::Identity;
  RouteOrder order = RouteOrder::ScoreThenSelect;
  Normalize normalize = Normalize::None;
  double epsilon = 0, scale = 1;
  std::optional<double> softcap;
  GroupsAttr groups;
};

/// Finds the formula behind the ids and weights of `op`; `reason` says what did
/// not fit.
std::optional<RouterMatch> matchRouter(AssignOp op, std::string &reason);

/// Values with the experts of all but the best groups masked: what is masked
/// and how. Nothing if `selection` is no such thing.
struct GroupMatch {
  Value choice;
  GroupsAttr groups;
};
std::optional<GroupMatch> matchGroups(Value selection);

} // namespace mlir::moe

#endif // PASSES_CONVERT_RAISE_ROUTERMATCH_H
