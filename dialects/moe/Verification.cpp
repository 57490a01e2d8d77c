//===- Verification.cpp - checks that several operations share --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "dialects/moe/Verification.h"

using namespace mlir;
using namespace mlir::moe;

int64_t moe::getExtent(Value value, int64_t dim) {
  return cast<ShapedType>(value.getType()).getDimSize(dim);
}

LogicalResult moe::verifyExtents(Operation *op, StringRef what, StringRef first,
                                 int64_t a, StringRef second, int64_t b) {
  if (ShapedType::isDynamic(a) || ShapedType::isDynamic(b) || a == b)
    return success();
  return op->emitOpError() << "expected one " << what << ", got " << a
                           << " in '" << first << "' and " << b << " in '"
                           << second << "'";
}

LogicalResult moe::verifyProjections(Operation *op, Value x, Value gate,
                                     Value up, Value down, Value result,
                                     bool shared) {
  int64_t in = shared ? 0 : 1, out = shared ? 1 : 2;
  if (failed(verifyExtents(op, "hidden width", "x", getExtent(x, 1), "up",
                           getExtent(up, in))) ||
      failed(verifyExtents(op, "inner width", "up", getExtent(up, out), "down",
                           getExtent(down, in))) ||
      failed(verifyExtents(op, "output width", "down", getExtent(down, out),
                           "result", getExtent(result, 1))))
    return failure();
  if (!gate)
    return success();
  if (failed(verifyExtents(op, "hidden width", "x", getExtent(x, 1), "gate",
                           getExtent(gate, in))))
    return failure();
  return verifyExtents(op, "inner width", "up", getExtent(up, out), "gate",
                       getExtent(gate, out));
}

LogicalResult moe::verifyBiases(Operation *op, Value gate, Value up, Value down,
                                Value gateBias, Value upBias, Value downBias) {
  if (gateBias && !gate)
    return op->emitOpError() << "expected 'gate' where there is a 'gate_bias'";
  struct Pair {
    StringRef name;
    Value bias, weights;
  };
  for (auto [name, bias, weights] :
       {Pair{"gate_bias", gateBias, gate}, Pair{"up_bias", upBias, up},
        Pair{"down_bias", downBias, down}}) {
    if (!bias)
      continue;
    if (failed(verifyExtents(op, "number of experts", name, getExtent(bias, 0),
                             "up", getExtent(up, 0))) ||
        failed(verifyExtents(op, "number of outputs", name, getExtent(bias, 1),
                             name.drop_back(5), getExtent(weights, 2))))
      return failure();
  }
  return success();
}
