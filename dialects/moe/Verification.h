//===- Verification.h - checks that several operations share ----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef DIALECTS_MOE_VERIFICATION_H
#define DIALECTS_MOE_VERIFICATION_H

#include "dialects/moe/MoEDialect.h"

namespace mlir::moe {

/// The extent of dimension `dim` of a tensor operand or result.
int64_t getExtent(Value value, int64_t dim);

/// An error unless two extents, each static or dynamic, can be equal.
LogicalResult verifyExtents(Operation *op, StringRef what, StringRef first,
                            int64_t a, StringRef second, int64_t b);

/// The constraints of the weights of experts: `gate`, `up`, `down` as E x H x F
/// and E x F x H' (without E if `shared`), biases, and the width of `x`.
LogicalResult verifyProjections(Operation *op, Value x, Value gate, Value up,
                                Value down, Value result, bool shared);
LogicalResult verifyBiases(Operation *op, Value gate, Value up, Value down,
                           Value gateBias, Value upBias, Value downBias);

/// The constraints of `moe.route` and `moe.route_permute` on their attributes.
template <typename Op> LogicalResult verifyRouter(Op op) {
  int64_t experts = getExtent(op.getLogits(), 1);
  // route_c2
  if (ShapedType::isDynamic(experts))
    return op.emitOpError() << "expected a static number of experts in "
                               "'logits', got "
                            << op.getLogits().getType();
  int64_t topK = op.getTopK();
  // route_c1
  if (topK < 1 || topK > experts)
    return op.emitOpError()
           << "expected 'top_k' in [1, " << experts << "], got " << topK;
  // route_c3
  for (auto [name, value] :
       {std::make_pair("select_bias", op.getSelectBias()),
        std::make_pair("expert_scale", op.getExpertScale())})
    if (value && failed(verifyExtents(op, "number of experts", name,
                                      getExtent(value, 0), "logits", experts)))
      return failure();
  if (!op.getGroups())
    return success();
  GroupsAttr groups = *op.getGroups();
  int64_t count = groups.getCount(), keep = groups.getKeep();
  // route_c4
  if (count < 1 || experts % count != 0)
    return op.emitOpError() << "expected a number of groups that divides "
                            << experts << " experts, got " << count;
  if (keep < 1 || keep > count)
    return op.emitOpError() << "expected between 1 and " << count
                            << " groups to keep, got " << keep;
  if (keep * (experts / count) < topK)
    return op.emitOpError()
           << "expected at least " << topK
           << " experts in the kept groups, got " << keep * (experts / count);
  if (groups.getScore() == GroupScore::Top2Sum && experts / count < 2)
    return op.emitOpError()
           << "expected at least 2 experts per group for 'top2_sum', got "
           << experts / count;
  // route_c5
  if (op.getOrder() == RouteOrder::SelectThenScore)
    return op.emitOpError()
           << "expected no 'groups' where scores come after the choice";
  return success();
}

} // namespace mlir::moe

#endif // DIALECTS_MOE_VERIFICATION_H
