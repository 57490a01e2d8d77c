//===- Operations.h - operations on the lanes of a warp ---------*- C++ -*-===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef RUNTIME_DEVICE_EMULATED_VECTOR_OPERATIONS_H
#define RUNTIME_DEVICE_EMULATED_VECTOR_OPERATIONS_H

#include "runtime/device/emulated/vector/Instruction.h"

namespace emulated {

/// Operations that combine registers lane by lane.
enum class Operation : uint8_t {
  // Integer arithmetic.
  Add,
  Sub,
  MulLow,
  MulHigh,
  MulWide,
  MadLow,
  MadHigh,
  MadWide,
  Mul24,
  Mad24,
  Sad,
  Div,
  Rem,
  Min,
  Max,
  Abs,
  Neg,
  DotFour,
  DotTwo,
  // Extended precision: the carry is the last result and the last operand.
  AddCarry,
  SubCarry,
  MadLowCarry,
  MadHighCarry,
  // Bits.
  And,
  Or,
  Xor,
  Not,
  LogicalNot,
  ShiftLeft,
  ShiftRight,
  FunnelLeft,
  FunnelRight,
  PopulationCount,
  CountLeadingZeros,
  BitReverse,
  FindLeading,
  ExtractField,
  InsertField,
  Permute,
  Logic3,
  MaskField,
  SignExtend,
  // Floating point.
  Mul,
  Fma,
  Reciprocal,
  SquareRoot,
  ReciprocalSquareRoot,
  Sine,
  Cosine,
  Exp2,
  Log2,
  Tanh,
  CopySign,
  // Moves, choice and comparison.
  Move,
  Pack,
  Unpack,
  Select,
  SelectBySign,
  Compare,
  CompareToValue,
  TestProperty,
  Convert,
};

enum class Rounding : uint8_t {
  Nearest,
  Zero,
  Down,
  Up,
  NearestAway,
};

/// Comparisons of setp and set.
enum class Comparison : uint8_t {
  Equal,
  NotEqual,
  Less,
  LessEqual,
  Greater,
  GreaterEqual,
  EqualOrUnordered,
  NotEqualOrUnordered,
  LessOrUnordered,
  LessEqualOrUnordered,
  GreaterOrUnordered,
  GreaterEqualOrUnordered,
  Ordered,
  Unordered,
};

/// Bits of Instruction::flags of lane operations.
enum : uint32_t {
  /// Result clamped to [0, 1], or to the range of the integer type.
  kSaturate = 1,
  /// Minimum and maximum that return NaN if an operand is NaN.
  kPropagateNaN = 2,
  /// Negative results become zero.
  kRelu = 4,
  /// Shift amounts modulo 32, instead of clamped.
  kWrap = 8,
  /// bfind.shiftamt.
  kShiftAmount = 16,
  /// Rounds to an integral value.
  kToIntegral = 32,
  /// Conversion to a finite value (cvt.satfinite).
  kSaturateFinite = 64,
  /// The carry is written, is read.
  kCarryOut = 128,
  kCarryIn = 256,
  /// min.xorsign.abs and max.xorsign.abs.
  kXorSignAbs = 512,
  // Bits 16-19: Comparison; 20-21: 1 and, 2 or, 3 xor with a predicate;
  // 24-26: Rounding.
  kComparisonShift = 16,
  kCombineShift = 20,
  kRoundingShift = 24,
};

/// What selects the code of an operation.
struct VectorKey {
  Operation operation;
  Type type = Type::None;
  Type source = Type::None;
  uint32_t flags = 0;
};

/// Returns the code for `key` for the best instruction set of this processor,
/// or null if there is none for these types.
Handler selectVector(const VectorKey &key);

// One set of functions for each instruction set.
#define EMULATED_DECLARE_VECTOR(ISA)                                           \
  namespace ISA {                                                              \
  Handler selectInteger(const VectorKey &key);                                 \
  Handler selectBits(const VectorKey &key);                                    \
  Handler selectFloat(const VectorKey &key);                                   \
  Handler selectFunction(const VectorKey &key);                                \
  Handler selectMove(const VectorKey &key);                                    \
  Handler selectCompare(const VectorKey &key);                                 \
  Handler selectConvert(const VectorKey &key);                                 \
  /* c[n columns] += a[k] * b[k][n], one row after the other, in f32. */       \
  void multiplyFloat(float *c, const float *a, const float *b, unsigned rows,  \
                     unsigned columns, unsigned depth);                        \
  void multiplyInteger(int32_t *c, const int32_t *a, const int32_t *b,         \
                       unsigned rows, unsigned columns, unsigned depth);       \
  void widenF16(float *to, const uint16_t *from, unsigned count);              \
  void widenBF16(float *to, const uint16_t *from, unsigned count);             \
  }
EMULATED_DECLARE_VECTOR(baseline)
EMULATED_DECLARE_VECTOR(v3)
EMULATED_DECLARE_VECTOR(v4)
#undef EMULATED_DECLARE_VECTOR

/// The matrix kernels for this processor.
struct MatrixKernels {
  void (*multiplyFloat)(float *, const float *, const float *, unsigned,
                        unsigned, unsigned);
  void (*multiplyInteger)(int32_t *, const int32_t *, const int32_t *, unsigned,
                          unsigned, unsigned);
  void (*widenF16)(float *, const uint16_t *, unsigned);
  void (*widenBF16)(float *, const uint16_t *, unsigned);
};
const MatrixKernels &getMatrixKernels();

} // namespace emulated

#endif // RUNTIME_DEVICE_EMULATED_VECTOR_OPERATIONS_H
