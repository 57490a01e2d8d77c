//===- DeviceMath.cpp - mathematical functions that devices lack ----------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/target/gpu/Passes.h"

#include "mlir/Dialect/Math/Transforms/Passes.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "llvm/ADT/StringSet.h"

namespace mlir::moe {
#define GEN_PASS_DEF_DEVICEMATH
#include "passes/target/gpu/Passes.h.inc"
} // namespace mlir::moe

using namespace mlir;
using namespace mlir::moe;

namespace {

/// Arithmetic in f64, where a handful of terms is exact enough for f32.
class Emitter : public ImplicitLocOpBuilder {
public:
  using ImplicitLocOpBuilder::ImplicitLocOpBuilder;

  Value f64(double value) {
    return arith::ConstantOp::create(*this, getF64FloatAttr(value));
  }
  Value f32(double value) {
    return arith::ConstantOp::create(*this, getF32FloatAttr(value));
  }
  Value i64(int64_t value) {
    return arith::ConstantIntOp::create(*this, value, 64);
  }
  Value widen(Value x) { return arith::ExtFOp::create(*this, getF64Type(), x); }
  Value narrow(Value x) {
    return arith::TruncFOp::create(*this, getF32Type(), x);
  }
  Value add(Value x, Value y) { return arith::AddFOp::create(*this, x, y); }
  Value sub(Value x, Value y) { return arith::SubFOp::create(*this, x, y); }
  Value mul(Value x, Value y) { return arith::MulFOp::create(*this, x, y); }
  Value div(Value x, Value y) { return arith::DivFOp::create(*this, x, y); }
  Value fma(Value x, Value y, Value z) {
    return math::FmaOp::create(*this, x, y, z);
  }
  Value select(Value condition, Value yes, Value no) {
    return arith::SelectOp::create(*this, condition, yes, no);
  }
  Value compare(arith::CmpFPredicate predicate, Value x, Value y) {
    return arith::CmpFOp::create(*this, predicate, x, y);
  }
  Value equal(Value x, Value y) {
    return compare(arith::CmpFPredicate::OEQ, x, y);
  }

  /// terms[0] + x * (terms[1] + x * (...)).
  Value polynomial(Value x, ArrayRef<double> terms) {
    Value sum = f64(terms.back());
    for (double term : llvm::reverse(terms.drop_back()))
      sum = fma(sum, x, f64(term));
    return sum;
  }

  Value sine(Value x, bool cosine);
  Value logarithm2(Value x);
  Value power2(Value x);
  Value power(Value x, Value y);
};

/// x = quarter * pi / 2 + r with |r| <= pi / 4; pi / 2 in two parts, exact for
/// |x| < 2^50.
Value Emitter::sine(Value number, bool cosine) {
  Value x = widen(number);
  Value quarter =
      math::RoundEvenOp::create(*this, mul(x, f64(0.63661977236758134308)));
  Value negated = arith::NegFOp::create(*this, quarter);
  Value r = fma(negated, f64(1.57079632679489661923), x);
  r = fma(negated, f64(6.123233995736766036e-17), r);
  Value square = mul(r, r);
  // Taylor's series; the first term left out is below 2^-40 of the sum.
  Value sin = mul(r, polynomial(square, {1.0, -1.0 / 6, 1.0 / 120, -1.0 / 5040,
                                         1.0 / 362880, -1.0 / 39916800}));
  Value cos = polynomial(square, {1.0, -0.5, 1.0 / 24, -1.0 / 720, 1.0 / 40320,
                                  -1.0 / 3628800, 1.0 / 479001600});
  // Which quarter: the two lowest bits, of the number without its integers.
  Value whole = math::FloorOp::create(*this, mul(quarter, f64(0.25)));
  Value place = fma(whole, f64(-4.0), quarter);
  if (cosine)
    place = add(place, f64(1.0));
  Value isOdd = arith::OrIOp::create(*this, equal(place, f64(1.0)),
                                     equal(place, f64(3.0)));
  Value isNegative = arith::OrIOp::create(*this, equal(place, f64(2.0)),
                                          equal(place, f64(3.0)));
  Value result = select(isOdd, cos, sin);
  result = select(isNegative, arith::NegFOp::create(*this, result), result);
  return narrow(result);
}

/// The logarithm of a positive finite number that came from f32.
Value Emitter::logarithm2(Value x) {
  Value bits = arith::BitcastOp::create(*this, getI64Type(), x);
  // The mantissa between sqrt(1/2) and sqrt(2).
  Value shifted = arith::AddIOp::create(
      *this, bits, i64(0x3ff0000000000000 - 0x3fe6a09e667f3bcd));
  Value exponent = arith::SubIOp::create(
      *this, Value(arith::ShRUIOp::create(*this, shifted, i64(52))), i64(1023));
  Value mantissa = arith::SubIOp::create(
      *this, bits, Value(arith::ShLIOp::create(*this, exponent, i64(52))));
  Value m = arith::BitcastOp::create(*this, getF64Type(), mantissa);
  Value s = div(sub(m, f64(1.0)), add(m, f64(1.0)));
  Value square = mul(s, s);
  Value series = polynomial(square, {1.0, 1.0 / 3, 1.0 / 5, 1.0 / 7, 1.0 / 9,
                                     1.0 / 11, 1.0 / 13, 1.0 / 15, 1.0 / 17});
  Value log = mul(mul(s, series), f64(2.8853900817779268147));
  return add(arith::SIToFPOp::create(*this, getF64Type(), exponent), log);
}

/// 2^x, as a number that is 0 or infinite in f32 beyond its range.
Value Emitter::power2(Value x) {
  Value low = arith::MaximumFOp::create(*this, x, f64(-1000.0));
  Value bounded = arith::MinimumFOp::create(*this, low, f64(1000.0));
  Value whole = math::RoundEvenOp::create(*this, bounded);
  Value r = mul(sub(bounded, whole), f64(0.69314718055994530942));
  Value series =
      polynomial(r, {1.0, 1.0, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720,
                     1.0 / 5040, 1.0 / 40320, 1.0 / 362880, 1.0 / 3628800});
  // NaN has no integer: any number does, the product is NaN anyway.
  Value isNaN = compare(arith::CmpFPredicate::UNO, x, x);
  Value exponent = arith::FPToSIOp::create(*this, getI64Type(),
                                           select(isNaN, f64(0.0), whole));
  Value bits = arith::ShLIOp::create(
      *this, Value(arith::AddIOp::create(*this, exponent, i64(1023))), i64(52));
  return mul(series, arith::BitcastOp::create(*this, getF64Type(), bits));
}

/// As the C function: 1 for y = 0 and for x = 1, whatever the other is.
Value Emitter::power(Value base, Value exponent) {
  Value x = widen(base), y = widen(exponent);
  Value zero = f64(0.0), one = f64(1.0), infinity = f64(HUGE_VAL);
  Value size = math::AbsFOp::create(*this, x);
  Value result = power2(mul(y, logarithm2(size)));
  Value grows = compare(arith::CmpFPredicate::OGT, y, zero);
  result = select(equal(size, zero), select(grows, zero, infinity), result);
  result = select(equal(size, infinity), select(grows, infinity, zero), result);
  result = select(equal(size, one), one, result);
  // A negative base: the sign of an odd power, NaN for what is no integer.
  Value isNegative = arith::CmpIOp::create(
      *this, arith::CmpIPredicate::slt,
      arith::BitcastOp::create(*this, getI64Type(), x), i64(0));
  Value whole = math::FloorOp::create(*this, y);
  Value half = mul(y, f64(0.5));
  Value isInteger = equal(whole, y);
  Value isEven = equal(math::FloorOp::create(*this, half), half);
  Value negated = arith::NegFOp::create(*this, result);
  Value isFinite = arith::AndIOp::create(
      *this, compare(arith::CmpFPredicate::ONE, size, infinity),
      compare(arith::CmpFPredicate::ONE, size, zero));
  Value fraction = select(isFinite, f64(NAN), result);
  Value whenNegative =
      select(isInteger, select(isEven, result, negated), fraction);
  result = select(isNegative, whenNegative, result);
  Value isNaN = compare(arith::CmpFPredicate::UNO, x, y);
  result = select(isNaN, f64(NAN), result);
  result = select(equal(y, zero), one, result);
  result = select(equal(x, one), one, result);
  return narrow(result);
}

template <typename OpTy> struct ExpandPattern : public OpRewritePattern<OpTy> {
  using OpRewritePattern<OpTy>::OpRewritePattern;

  LogicalResult matchAndRewrite(OpTy op,
                                PatternRewriter &rewriter) const override {
    if (!op.getType().isF32())
      return failure();
    Emitter b(op.getLoc(), rewriter);
    if constexpr (std::is_same_v<OpTy, math::PowFOp>)
      rewriter.replaceOp(op, b.power(op.getLhs(), op.getRhs()));
    else
      rewriter.replaceOp(
          op, b.sine(op.getOperand(), std::is_same_v<OpTy, math::CosOp>));
    return success();
  }
};

struct DeviceMath : public moe::impl::DeviceMathBase<DeviceMath> {
  void runOnOperation() override {
    RewritePatternSet patterns(&getContext());
    patterns.add<ExpandPattern<math::PowFOp>, ExpandPattern<math::SinOp>,
                 ExpandPattern<math::CosOp>>(&getContext());
    const llvm::StringSet<> approximated = {
        math::AtanOp::getOperationName(), math::Atan2Op::getOperationName(),
        math::AsinOp::getOperationName(), math::AcosOp::getOperationName(),
        math::CbrtOp::getOperationName(), math::ErfcOp::getOperationName(),
        math::ExpOp::getOperationName(),  math::ExpM1Op::getOperationName(),
        math::LogOp::getOperationName(),  math::Log1pOp::getOperationName(),
        math::Log2Op::getOperationName(), math::TanhOp::getOperationName(),
        math::ErfOp::getOperationName(),
    };
    populateMathPolynomialApproximationPatterns(
        patterns, [&](StringRef name) { return approximated.contains(name); });
    math::populateExpansionPatterns(patterns,
                                    {"tan", "sinh", "cosh", "asinh", "acosh",
                                     "atanh", "exp2", "fpowi", "rsqrt"});
    if (failed(applyPatternsGreedily(getOperation(), std::move(patterns))))
      return signalPassFailure();
    WalkResult result = getOperation()->walk([](Operation *op) {
      if (!isa_and_nonnull<math::MathDialect>(op->getDialect()) ||
          isa<math::FmaOp, math::SqrtOp, math::AbsFOp, math::AbsIOp,
              math::FloorOp, math::CeilOp, math::TruncOp, math::RoundEvenOp,
              math::CopySignOp, math::CountLeadingZerosOp, math::CtPopOp,
              math::CountTrailingZerosOp, math::IsNaNOp, math::IsInfOp,
              math::IsFiniteOp, math::RoundOp>(op))
        return WalkResult::advance();
      op->emitError() << "expected a function that devices have or that can "
                         "be computed in f32, got "
                      << op->getName() << " of " << op->getResult(0).getType();
      return WalkResult::interrupt();
    });
    if (result.wasInterrupted())
      signalPassFailure();
  }
};

} // namespace
