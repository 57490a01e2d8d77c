//===- EvaluateElementwise.cpp - arithmetic on constants ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "passes/convert/ConstantEvaluation.h"

#include "dialects/onnx/ONNXDialect.h"
#include "mlir/IR/BuiltinTypes.h"
#include "llvm/ADT/APFloat.h"
#include "llvm/ADT/APInt.h"
#include <cmath>

using namespace mlir;
using namespace mlir::moe;

namespace {

bool isUnsigned(Type type) {
  return type.isUnsignedInteger() || type.isInteger(1);
}

/// True if arithmetic in double, rounded once, is arithmetic in `type`.
bool fitsDouble(Type type) {
  return type.isF16() || type.isBF16() || type.isF32() || type.isF64();
}

double toDouble(Attribute element) {
  APFloat value = cast<FloatAttr>(element).getValue();
  bool losesInfo;
  value.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven,
                &losesInfo);
  return value.convertToDouble();
}

bool broadcasts(ArrayRef<int64_t> from, ArrayRef<int64_t> to) {
  if (from.size() > to.size())
    return false;
  for (auto [own, other] : llvm::zip_equal(from, to.take_back(from.size())))
    if (own != 1 && own != other)
      return false;
  return true;
}

Attribute makeInteger(Type type, const APInt &value) {
  return IntegerAttr::get(type, value);
}

Attribute makeBool(Type type, bool value) {
  return IntegerAttr::get(type, APInt(1, value));
}

Attribute makeFloat(Type type, double value) {
  APFloat rounded(value);
  bool losesInfo;
  rounded.convert(cast<FloatType>(type).getFloatSemantics(),
                  APFloat::rmNearestTiesToEven, &losesInfo);
  return FloatAttr::get(type, rounded);
}

Attribute castElement(Attribute element, Type from, Type to) {
  if (from == to)
    return element;
  if (auto integer = dyn_cast<IntegerAttr>(element)) {
    const APInt &value = integer.getValue();
    if (to.isInteger(1))
      return makeBool(to, !value.isZero());
    if (auto type = dyn_cast<IntegerType>(to))
      return makeInteger(to, isUnsigned(from)
                                 ? value.zextOrTrunc(type.getWidth())
                                 : value.sextOrTrunc(type.getWidth()));
    if (!fitsDouble(to))
      return {};
    APFloat result(cast<FloatType>(to).getFloatSemantics());
    result.convertFromAPInt(value, !isUnsigned(from),
                            APFloat::rmNearestTiesToEven);
    return FloatAttr::get(to, result);
  }
  if (!fitsDouble(from))
    return {};
  double value = toDouble(element);
  if (to.isInteger(1))
    return makeBool(to, value != 0.0);
  if (auto type = dyn_cast<IntegerType>(to)) {
    APSInt result(type.getWidth(), isUnsigned(to));
    bool isExact;
    if (APFloat(value).convertToInteger(result, APFloat::rmTowardZero,
                                        &isExact) &
        APFloat::opInvalidOp)
      return {};
    return makeInteger(to, result);
  }
  return fitsDouble(to) ? makeFloat(to, value) : Attribute();
}

/// Integer arithmetic wraps around; a division by zero has no value.
std::optional<APInt> computeInteger(Operation *op, const APInt &a,
                                    const APInt &b, bool isUnsigned) {
  StringRef name = op->getName().stripDialect();
  if (name == "Add")
    return a + b;
  if (name == "Sub")
    return a - b;
  if (name == "Mul")
    return a * b;
  if (name == "Min")
    return (isUnsigned ? a.ult(b) : a.slt(b)) ? a : b;
  if (name == "Max")
    return (isUnsigned ? a.ugt(b) : a.sgt(b)) ? a : b;
  if (b.isZero())
    return std::nullopt;
  if (name == "Div")
    return isUnsigned ? a.udiv(b) : a.sdiv(b);
  if (auto mod = dyn_cast<onnx::ModOp>(op)) {
    if (isUnsigned)
      return a.urem(b);
    APInt remainder = a.srem(b);
    bool signsDiffer =
        !remainder.isZero() && remainder.isNegative() != b.isNegative();
    return mod.getFmod() == 0 && signsDiffer ? remainder + b : remainder;
  }
  return std::nullopt;
}

std::optional<double> computeFloat(Operation *op, double a, double b) {
  StringRef name = op->getName().stripDialect();
  if (name == "Add")
    return a + b;
  if (name == "Sub")
    return a - b;
  if (name == "Mul")
    return a * b;
  if (name == "Div")
    return a / b;
  if (std::isnan(a) || std::isnan(b))
    return std::nullopt;
  if (name == "Min")
    return std::min(a, b);
  if (name == "Max")
    return std::max(a, b);
  return std::nullopt;
}

/// Compares, or combines two booleans.
template <typename T>
std::optional<bool> compare(StringRef name, const T &a, const T &b) {
  if (name == "Equal")
    return a == b;
  if (name == "Less")
    return a < b;
  if (name == "LessOrEqual")
    return a <= b;
  if (name == "Greater")
    return a > b;
  if (name == "GreaterOrEqual")
    return a >= b;
  if (name == "And")
    return a != T(0) && b != T(0);
  if (name == "Or")
    return a != T(0) || b != T(0);
  if (name == "Xor")
    return (a != T(0)) != (b != T(0));
  return std::nullopt;
}

Attribute computeBinary(Operation *op, Attribute lhs, Attribute rhs,
                        Type operandType, Type resultType) {
  StringRef name = op->getName().stripDialect();
  if (auto left = dyn_cast<IntegerAttr>(lhs)) {
    APInt a = left.getValue(), b = cast<IntegerAttr>(rhs).getValue();
    if (a.getBitWidth() > 64)
      return {};
    std::optional<bool> truth =
        isUnsigned(operandType)
            ? compare(name, a.getZExtValue(), b.getZExtValue())
            : compare(name, a.getSExtValue(), b.getSExtValue());
    if (truth)
      return makeBool(resultType, *truth);
    if (operandType.isInteger(1))
      return {};
    std::optional<APInt> value =
        computeInteger(op, a, b, isUnsigned(operandType));
    return value ? makeInteger(resultType, *value) : Attribute();
  }
  if (!fitsDouble(operandType))
    return {};
  double a = toDouble(lhs), b = toDouble(rhs);
  if (std::optional<bool> truth = compare(name, a, b))
    return makeBool(resultType, *truth);
  std::optional<double> value = computeFloat(op, a, b);
  return value ? makeFloat(resultType, *value) : Attribute();
}

Attribute computeUnary(Operation *op, Attribute operand, Type operandType,
                       Type resultType) {
  StringRef name = op->getName().stripDialect();
  if (name == "Identity")
    return operand;
  if (name == "Cast" || name == "CastLike")
    return castElement(operand, operandType, resultType);
  if (auto integer = dyn_cast<IntegerAttr>(operand)) {
    APInt value = integer.getValue();
    if (name == "Not")
      return makeBool(resultType, value.isZero());
    if (name == "Neg" && !isUnsigned(operandType))
      return makeInteger(resultType, -value);
    if (name == "Abs")
      return makeInteger(resultType,
                         isUnsigned(operandType) ? value : value.abs());
    return {};
  }
  if (!fitsDouble(operandType))
    return {};
  double value = toDouble(operand);
  if (name == "Neg")
    return makeFloat(resultType, -value);
  if (name == "Abs")
    return makeFloat(resultType, std::abs(value));
  if (name == "Sqrt")
    return makeFloat(resultType, std::sqrt(value));
  if (name == "Reciprocal")
    return makeFloat(resultType, 1.0 / value);
  return {};
}

} // namespace

int64_t moe::broadcastIndex(int64_t linear, ArrayRef<int64_t> to,
                            ArrayRef<int64_t> from) {
  int64_t index = 0, stride = 1;
  for (int64_t i = to.size() - 1; i >= 0; --i) {
    int64_t position = linear % to[i];
    linear /= to[i];
    int64_t fromAxis = i - int64_t(to.size()) + int64_t(from.size());
    if (fromAxis < 0)
      continue;
    if (from[fromAxis] != 1)
      index += position * stride;
    stride *= from[fromAxis];
  }
  return index;
}

std::optional<Elements> moe::evaluateElementwise(Operation *op,
                                                 ConstantOperands operands,
                                                 ShapedType result) {
  bool isWhere = isa<onnx::WhereOp>(op);
  bool isCast = isa<onnx::CastOp, onnx::CastLikeOp>(op);
  if (operands.empty() || (isWhere && operands.size() != 3) ||
      (!isWhere && !isCast && operands.size() > 2))
    return std::nullopt;
  if (isCast)
    operands = operands.take_front();
  for (DenseElementsAttr operand : operands)
    if (!operand ||
        !broadcasts(operand.getType().getShape(), result.getShape()))
      return std::nullopt;
  bool sameTypes = isWhere ? operands[0].getElementType().isInteger(1)
                           : operands.back().getElementType() ==
                                 operands.front().getElementType();
  if (!sameTypes)
    return std::nullopt;

  SmallVector<Elements> inputs;
  for (DenseElementsAttr operand : operands)
    inputs.push_back(llvm::to_vector(operand.getValues<Attribute>()));
  Type type = operands.front().getElementType();
  Elements elements;
  for (int64_t i = 0, e = result.getNumElements(); i < e; ++i) {
    auto at = [&](unsigned operand) {
      return inputs[operand][broadcastIndex(
          i, result.getShape(), operands[operand].getType().getShape())];
    };
    Attribute element;
    if (isWhere)
      element = cast<IntegerAttr>(at(0)).getValue().isZero() ? at(2) : at(1);
    else if (operands.size() == 2)
      element = computeBinary(op, at(0), at(1), type, result.getElementType());
    else
      element = computeUnary(op, at(0), type, result.getElementType());
    if (!element)
      return std::nullopt;
    elements.push_back(element);
  }
  return elements;
}
