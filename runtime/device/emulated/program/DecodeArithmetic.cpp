//===- DecodeArithmetic.cpp - decodes arithmetic --------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/program/Decoder.h"

#include <algorithm>

using namespace emulated;

void Decoder::decodeBinary() {
  static const std::unordered_map<std::string, Operation> kOperations = {
      {"add", Operation::Add}, {"sub", Operation::Sub}, {"div", Operation::Div},
      {"rem", Operation::Rem}, {"min", Operation::Min}, {"max", Operation::Max},
  };
  if (has("cc"))
    return decodeCarry();
  decodeFloatModifiers();
  if (has("xorsign") && has("abs"))
    instruction.flags |= kXorSignAbs;
  decodeMixedTypes();
  Operation operation = kOperations.at(statement->opcode[0]);
  bool isMinMax = operation == Operation::Min || operation == Operation::Max;
  if (getNumOperands() != 3 && !(isMinMax && getNumOperands() == 4))
    fail("expected two operands");
  Operand result = toRegister(getOperand(0));
  std::vector<Operand> values;
  for (unsigned i = 1; i < getNumOperands(); ++i)
    values.push_back(
        toValue(getOperand(i), i + 1 < getNumOperands() ? type : types[0]));
  // The least or greatest of three takes two instructions; the first one reads
  // what is overwritten.
  std::partition(values.begin(), values.end(), [&](const Operand &value) {
    return isMinMax && value.bank == 0 && value.offset == result.offset;
  });
  Instruction first = instruction;
  addResult(result);
  addOperand(values[0]);
  addOperand(values[1]);
  finish(operation);
  if (values.size() == 2)
    return;
  instruction.flags = first.flags;
  instruction.floatControl = first.floatControl;
  addResult(result);
  addOperand(result);
  addOperand(values[2]);
  finish(operation);
}

/// fma.f32.f16 and the like: the last operand and the result have the first
/// type, the others the second one.
void Decoder::decodeMixedTypes() {
  if (types.size() < 2)
    return;
  bool isMixed = types.size() == 2 && types[0] == Type::F32 &&
                 (types[1] == Type::F16 || types[1] == Type::BF16);
  if (!isMixed)
    fail("expected one type, or f32 and f16 or bf16");
  instruction.type = types[0];
  instruction.source = types[1];
}

void Decoder::decodeMul() {
  bool isMul24 = statement->opcode[0] == "mul24";
  decodeFloatModifiers();
  addResult(toRegister(getOperand(0)));
  addOperand(toValue(getOperand(1), type));
  addOperand(toValue(getOperand(2), type));
  if (isFloat(type))
    return finish(Operation::Mul);
  if (has("wide"))
    return finish(Operation::MulWide);
  if (has("hi"))
    return isMul24 ? fail("mul24.hi is not supported")
                   : finish(Operation::MulHigh);
  has("lo");
  finish(isMul24 ? Operation::Mul24 : Operation::MulLow);
}

void Decoder::decodeMad() {
  const std::string &name = statement->opcode[0];
  if (has("cc"))
    return decodeCarry();
  decodeFloatModifiers();
  decodeMixedTypes();
  bool isWide = has("wide");
  Type accumulator = !isWide             ? types[0]
                     : sizeOf(type) == 4 ? Type::B64
                                         : Type::B32;
  addResult(toRegister(getOperand(0)));
  addOperand(toValue(getOperand(1), type));
  addOperand(toValue(getOperand(2), type));
  addOperand(toValue(getOperand(3), accumulator));
  if (isFloat(type))
    return finish(Operation::Fma);
  if (name == "sad")
    return finish(Operation::Sad);
  if (isWide)
    return finish(Operation::MadWide);
  if (has("hi"))
    return finish(Operation::MadHigh);
  has("lo");
  finish(name == "mad24" ? Operation::Mad24 : Operation::MadLow);
}

void Decoder::decodeDotProduct() {
  // Both signs are types of the opcode: dp4a.u32.s32.
  if (types.size() != 2)
    fail("expected the types of two operands");
  instruction.count =
      (isSigned(types[0]) ? 1 : 0) | (isSigned(types[1]) ? 2 : 0);
  if (has("hi"))
    instruction.count |= 4;
  has("lo");
  addResult(toRegister(getOperand(0)));
  for (unsigned i = 1; i <= 3; ++i)
    addOperand(toValue(getOperand(i), Type::B32));
  finish(statement->opcode[0] == "dp4a" ? Operation::DotFour
                                        : Operation::DotTwo);
}

void Decoder::decodeCarry() {
  const std::string &name = statement->opcode[0];
  bool isMad = name == "mad" || name == "madc";
  if (has("cc"))
    instruction.flags |= kCarryOut;
  if (name.back() == 'c')
    instruction.flags |= kCarryIn;
  addResult(toRegister(getOperand(0)));
  for (unsigned i = 1; i <= (isMad ? 3 : 2); ++i)
    addOperand(toValue(getOperand(i), type));
  addOperand(state.carry);
  addResult(state.carry);
  if (!isMad)
    return finish(name.compare(0, 3, "add") == 0 ? Operation::AddCarry
                                                 : Operation::SubCarry);
  bool isHigh = has("hi");
  has("lo");
  finish(isHigh ? Operation::MadHighCarry : Operation::MadLowCarry);
}

void Decoder::decodeFunction() {
  static const std::unordered_map<std::string, Operation> kOperations = {
      {"rcp", Operation::Reciprocal},
      {"sqrt", Operation::SquareRoot},
      {"rsqrt", Operation::ReciprocalSquareRoot},
      {"sin", Operation::Sine},
      {"cos", Operation::Cosine},
      {"ex2", Operation::Exp2},
      {"lg2", Operation::Log2},
      {"tanh", Operation::Tanh},
  };
  decodeFloatModifiers();
  addResult(toRegister(getOperand(0)));
  addOperand(toValue(getOperand(1), type));
  finish(kOperations.at(statement->opcode[0]));
}

void Decoder::decodeSign() {
  // abs is the name of the instruction and of no modifier here.
  has("ftz");
  addResult(toRegister(getOperand(0)));
  addOperand(toValue(getOperand(1), type));
  finish(statement->opcode[0] == "abs" ? Operation::Abs : Operation::Neg);
}

void Decoder::decodeCopySign() {
  addResult(toRegister(getOperand(0)));
  addOperand(toValue(getOperand(1), type));
  addOperand(toValue(getOperand(2), type));
  finish(Operation::CopySign);
}

static Comparison parseComparison(const std::string &name) {
  static const std::unordered_map<std::string, Comparison> kNames = {
      {"eq", Comparison::Equal},
      {"ne", Comparison::NotEqual},
      {"lt", Comparison::Less},
      {"le", Comparison::LessEqual},
      {"gt", Comparison::Greater},
      {"ge", Comparison::GreaterEqual},
      {"lo", Comparison::Less},
      {"ls", Comparison::LessEqual},
      {"hi", Comparison::Greater},
      {"hs", Comparison::GreaterEqual},
      {"equ", Comparison::EqualOrUnordered},
      {"neu", Comparison::NotEqualOrUnordered},
      {"ltu", Comparison::LessOrUnordered},
      {"leu", Comparison::LessEqualOrUnordered},
      {"gtu", Comparison::GreaterOrUnordered},
      {"geu", Comparison::GreaterEqualOrUnordered},
      {"num", Comparison::Ordered},
      {"nan", Comparison::Unordered},
  };
  auto found = kNames.find(name);
  return found == kNames.end() ? Comparison(15) : found->second;
}

void Decoder::decodeSetp() {
  Comparison comparison =
      parseComparison(isUsed.size() > 1 ? statement->opcode[1] : "");
  if (comparison == Comparison(15))
    fail("expected a comparison");
  isUsed[1] = true;
  if (has("ftz"))
    instruction.floatControl = 1u << 15 | 1u << 6;
  unsigned combine = has("and") ? 1 : has("or") ? 2 : has("xor") ? 3 : 0;
  instruction.flags =
      unsigned(comparison) << kComparisonShift | combine << kCombineShift;
  bool isSet = statement->opcode[0] == "set";
  if (isSet) {
    addResult(toRegister(getOperand(0)));
    instruction.type = types.front();
    instruction.source = type;
  } else if (getOperand(0).kind == ptx::Operand::Pair) {
    addResult(toPredicate(getOperand(0).parts[0]));
    addResult(toPredicate(getOperand(0).parts[1]));
  } else {
    addResult(toPredicate(getOperand(0)));
  }
  addOperand(toValue(getOperand(1), type));
  addOperand(toValue(getOperand(2), type));
  if (combine)
    addOperand(toPredicate(getOperand(3)));
  finish(isSet ? Operation::CompareToValue : Operation::Compare);
}

void Decoder::decodeSet() { decodeSetp(); }

void Decoder::decodeTestProperty() {
  static const char *const kNames[] = {"finite",     "infinite", "number",
                                       "notanumber", "normal",   "subnormal"};
  for (unsigned i = 0; i < 6; ++i)
    if (has(kNames[i]))
      instruction.count = i;
  addResult(toPredicate(getOperand(0)));
  addOperand(toValue(getOperand(1), type));
  finish(Operation::TestProperty);
}

void Decoder::decodeConvert() {
  if (types.size() < 2)
    fail("expected two types");
  instruction.type = types[types.size() - 2];
  instruction.source = types.back();
  bool toIntegral = has("rni") || has("rzi") || has("rmi") || has("rpi");
  bool isDirected = has("rz") || has("rm") || has("rp");
  if (has("sat"))
    instruction.flags |= kSaturate;
  if (has("satfinite"))
    instruction.flags |= kSaturateFinite;
  if (has("relu"))
    instruction.flags |= kRelu;
  bool isFlushed = has("ftz");
  Rounding rounding = getRounding();
  bool toFloat = isFloat(instruction.type);
  if (toIntegral && toFloat)
    instruction.flags |= kToIntegral;
  instruction.flags |= unsigned(rounding) << kRoundingShift;
  // The processor rounds to f32 and f64.
  if (isDirected &&
      (instruction.type == Type::F32 || instruction.type == Type::F64)) {
    const uint32_t kModes[] = {0, 3, 1, 2};
    instruction.floatControl |= kModes[unsigned(rounding)] << 13;
  }
  if (isFlushed)
    instruction.floatControl |= 1u << 15 | 1u << 6;
  Operand result = toRegister(getOperand(0));
  if ((result.kind == Operand::Wide) != (sizeOf(instruction.type) == 8))
    fail("expected a result of " +
         std::to_string(8 * sizeOf(instruction.type)) + " bits");
  addResult(result);
  for (unsigned i = 1; i < getNumOperands(); ++i)
    addOperand(toValue(getOperand(i), instruction.source));
  finish(Operation::Convert);
}
