//===- VectorLanes.cpp - work within vectors --------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/cpu/VectorLanes.h"

using namespace mlir;
using namespace mlir::moe;

Value VectorLanes::reduce(Value lanes, function_ref<Value(Value, Value)> join) {
  for (int64_t half = kWidth / 2; half > 0; half /= 2) {
    auto take = [&](int64_t from) -> Value {
      auto picked = llvm::to_vector(llvm::seq<int64_t>(from, from + half));
      return vector::ShuffleOp::create(b, lanes, lanes, picked);
    };
    lanes = join(take(0), take(half));
  }
  return vector::ExtractOp::create(b, lanes, ArrayRef<int64_t>{0});
}

Value VectorLanes::reduceLoop(Value end, Value init,
                              function_ref<Value(Value, Value)> body) {
  auto loop =
      scf::ForOp::create(b, b.index(0), end, b.index(kWidth), ValueRange(init));
  OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(loop.getBody());
  Value next = body(loop.getInductionVar(), loop.getRegionIterArg(0));
  scf::YieldOp::create(b, next);
  return loop.getResult(0);
}

/// Exchanges the blocks beside the diagonal, of squares of 2, 4, 8 and 16.
void VectorLanes::transpose(MutableArrayRef<Value> rows) {
  for (int64_t size = 1; size < kWidth; size *= 2) {
    SmallVector<int64_t> upper, lower;
    for (int64_t lane = 0; lane < kWidth; ++lane) {
      bool isFirst = (lane & size) == 0;
      upper.push_back(isFirst ? lane : kWidth + lane - size);
      lower.push_back(isFirst ? lane + size : kWidth + lane);
    }
    for (int64_t i = 0; i < kWidth; ++i) {
      if (i & size)
        continue;
      Value x = rows[i], y = rows[i + size];
      rows[i] = vector::ShuffleOp::create(b, x, y, upper);
      rows[i + size] = vector::ShuffleOp::create(b, x, y, lower);
    }
  }
}
