//===- KernelBuilder.h - builder of loops and index arithmetic --------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef PASSES_TARGET_CPU_KERNELBUILDER_H
#define PASSES_TARGET_CPU_KERNELBUILDER_H

#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace mlir::moe {

class KernelBuilder : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value index(int64_t value) {
    return arith::ConstantIndexOp::create(*this, value);
  }
  Value add(Value a, Value b) { return createOrFold<arith::AddIOp>(a, b); }
  Value add(Value a, int64_t b) { return b == 0 ? a : add(a, index(b)); }
  Value sub(Value a, Value b) { return createOrFold<arith::SubIOp>(a, b); }
  Value mul(Value a, Value b) { return createOrFold<arith::MulIOp>(a, b); }
  Value mul(Value a, int64_t b) { return mul(a, index(b)); }
  Value div(Value a, Value b) { return createOrFold<arith::DivUIOp>(a, b); }
  Value rem(Value a, Value b) { return createOrFold<arith::RemUIOp>(a, b); }
  Value ceilDiv(Value a, Value b) { return div(sub(add(a, b), index(1)), b); }
  Value ceilDiv(Value a, int64_t b) { return div(add(a, b - 1), index(b)); }
  Value min(Value a, Value b) { return createOrFold<arith::MinUIOp>(a, b); }
  Value max(Value a, Value b) { return createOrFold<arith::MaxUIOp>(a, b); }
  Value less(Value a, Value b) {
    return createOrFold<arith::CmpIOp>(arith::CmpIPredicate::ult, a, b);
  }
  Value select(Value condition, Value yes, Value no) {
    return createOrFold<arith::SelectOp>(condition, yes, no);
  }

  /// Entry `i` of a buffer of i32 as an index.
  Value loadIndex(Value buffer, Value i) {
    Value entry = memref::LoadOp::create(*this, buffer, i);
    return arith::IndexCastOp::create(*this, getIndexType(), entry);
  }

  /// A loop from `lower` to `upper` by `step`.
  void loop(Value lower, Value upper, int64_t step,
            function_ref<void(Value)> body);

  /// A parallel loop nest from 0 to `counts`.
  void parallel(ValueRange counts, function_ref<void(ValueRange)> body);

  /// A loop from `lower` to `upper` that carries values; returns the last ones.
  SmallVector<Value>
  carry(Value lower, Value upper, ValueRange init,
        function_ref<void(Value, SmallVector<Value> &)> body);

  /// Runs `yes` or `no`, whichever `condition` says.
  void branch(Value condition, function_ref<void()> yes,
              function_ref<void()> no);

  /// Runs `body` with the number that `count`, from 1 to `most`, has at run
  /// time.
  void choose(Value count, int64_t most, function_ref<void(int64_t)> body);
};

/// `count` things split into parts of at most `limit`, as equal as possible.
struct EvenSplit {
  EvenSplit(KernelBuilder &b, Value count, Value limit);
  EvenSplit(KernelBuilder &b, Value count, int64_t limit)
      : EvenSplit(b, count, b.index(limit)) {}

  /// The first thing of a part, and how many it has.
  std::pair<Value, Value> getPart(KernelBuilder &b, Value part) const;

  Value parts;

private:
  Value size, larger;
};

} // namespace mlir::moe

#endif // PASSES_TARGET_CPU_KERNELBUILDER_H
