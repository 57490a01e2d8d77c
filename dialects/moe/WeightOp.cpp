//===- WeightOp.cpp - weights of the moe dialect ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/MoEDialect.h"

using namespace mlir;
using namespace mlir::moe;

LogicalResult WeightOp::verify() {
  auto type = cast<RankedTensorType>(getType());
  int64_t count = getViews().size();
  // weight_c1
  if (count == 0)
    return emitOpError() << "expected at least one view";
  // weight_c2
  bool stacked = count > 1;
  if (stacked && (type.getRank() == 0 || type.getDimSize(0) != count))
    return emitOpError() << "expected " << count
                         << " entries in the first dimension, one for each "
                            "view, got "
                         << type;
  int64_t strides = type.getRank() - stacked;
  for (auto view : getViews().getAsRange<ViewAttr>()) {
    int64_t given = view.getStrides().size();
    if (given != strides)
      return emitOpError() << "expected " << strides
                           << " strides in each view, got " << given;
    if (view.getOffset() < 0)
      return emitOpError() << "expected an offset of at least 0, got "
                           << view.getOffset();
  }
  return success();
}
