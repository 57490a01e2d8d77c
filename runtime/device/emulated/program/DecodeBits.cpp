//===- DecodeBits.cpp - decodes moves and bit operations ------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/program/Decoder.h"

using namespace emulated;

void Decoder::decodeLogic() {
  static const std::unordered_map<std::string, Operation> kOperations = {
      {"and", Operation::And},         {"or", Operation::Or},
      {"xor", Operation::Xor},         {"not", Operation::Not},
      {"cnot", Operation::LogicalNot},
  };
  if (type == Type::Pred) {
    addResult(toPredicate(getOperand(0)));
    for (unsigned i = 1; i < getNumOperands(); ++i)
      addOperand(toPredicate(getOperand(i)));
  } else {
    addResult(toRegister(getOperand(0)));
    for (unsigned i = 1; i < getNumOperands(); ++i)
      addOperand(toValue(getOperand(i), type));
  }
  finish(kOperations.at(statement->opcode[0]));
}

void Decoder::decodeShift() {
  addResult(toRegister(getOperand(0)));
  addOperand(toValue(getOperand(1), type));
  addOperand(toValue(getOperand(2), Type::B32));
  finish(statement->opcode[0] == "shl" ? Operation::ShiftLeft
                                       : Operation::ShiftRight);
}

void Decoder::decodeFunnel() {
  bool isLeft = has("l");
  has("r");
  if (has("wrap"))
    instruction.flags |= kWrap;
  has("clamp");
  addResult(toRegister(getOperand(0)));
  for (unsigned i = 1; i <= 3; ++i)
    addOperand(toValue(getOperand(i), Type::B32));
  finish(isLeft ? Operation::FunnelLeft : Operation::FunnelRight);
}

void Decoder::decodeCount() {
  const std::string &name = statement->opcode[0];
  addResult(toRegister(getOperand(0)));
  addOperand(toValue(getOperand(1), type));
  finish(name == "popc"  ? Operation::PopulationCount
         : name == "clz" ? Operation::CountLeadingZeros
                         : Operation::BitReverse);
}

void Decoder::decodeFindLeading() {
  if (has("shiftamt"))
    instruction.flags |= kShiftAmount;
  addResult(toRegister(getOperand(0)));
  addOperand(toValue(getOperand(1), type));
  finish(Operation::FindLeading);
}

void Decoder::decodeField() {
  const std::string &name = statement->opcode[0];
  if (has("wrap"))
    instruction.flags |= kWrap;
  has("clamp");
  unsigned numValues = name == "bfi" ? 2 : name == "bmsk" ? 0 : 1;
  addResult(toRegister(getOperand(0)));
  for (unsigned i = 1; i < getNumOperands(); ++i)
    addOperand(toValue(getOperand(i), i <= numValues ? type : Type::B32));
  finish(name == "bfe"    ? Operation::ExtractField
         : name == "bfi"  ? Operation::InsertField
         : name == "bmsk" ? Operation::MaskField
                          : Operation::SignExtend);
}

void Decoder::decodePermute() {
  static const char *const kModes[] = {"f4e", "b4e", "rc8",
                                       "ecl", "ecr", "rc16"};
  instruction.count = 0;
  for (unsigned i = 0; i < 6; ++i)
    if (has(kModes[i]))
      instruction.count = i + 1;
  addResult(toRegister(getOperand(0)));
  for (unsigned i = 1; i <= 3; ++i)
    addOperand(toValue(getOperand(i), Type::B32));
  finish(Operation::Permute);
}

void Decoder::decodeLogic3() {
  addResult(toRegister(getOperand(0)));
  for (unsigned i = 1; i <= 3; ++i)
    addOperand(toValue(getOperand(i), Type::B32));
  instruction.immediate = toImmediate(getOperand(4));
  finish(Operation::Logic3);
}

void Decoder::decodeMove() {
  const ptx::Operand &to = getOperand(0), &from = getOperand(1);
  if (to.kind == ptx::Operand::Vector) {
    for (const ptx::Operand &part : to.parts)
      addResult(toRegister(part));
    addOperand(toValue(from, type));
    return finish(Operation::Unpack);
  }
  if (from.kind == ptx::Operand::Vector) {
    Type part = from.parts.size() * 4 == sizeOf(type) ? Type::B32 : Type::B16;
    addResult(toRegister(to));
    for (const ptx::Operand &value : from.parts)
      addOperand(toValue(value, part));
    return finish(Operation::Pack);
  }
  if (type == Type::Pred) {
    addResult(toPredicate(to));
    addOperand(toPredicate(from));
    return finish(Operation::Move);
  }
  addResult(toRegister(to));
  if (from.kind == ptx::Operand::Special &&
      (from.name.compare(0, 6, "%clock") == 0 ||
       from.name.compare(0, 12, "%globaltimer") == 0)) {
    instruction.flags =
        from.name == "%clock_hi" || from.name == "%globaltimer_hi";
    return finish(readClock);
  }
  if (from.kind == ptx::Operand::Variable) {
    auto parameter = state.parameterOffsets.find(from.variable);
    if (parameter != state.parameterOffsets.end()) {
      addOperand(getSpecial(Special::Parameters, true));
      addOperand(toConstant(parameter->second + from.value, true));
      instruction.type = Type::U64;
      return finish(Operation::Add);
    }
  }
  Operand value = from.kind == ptx::Operand::Special ? toSpecial(from.name)
                                                     : toValue(from, type);
  instruction.source = value.kind == Operand::Wide ? Type::B64 : Type::B32;
  addOperand(value);
  finish(Operation::Move);
}

void Decoder::decodeSelect() {
  bool isBySign = statement->opcode[0] == "slct";
  has("ftz");
  Type value = types.front();
  instruction.type = value;
  instruction.source = types.back();
  addResult(toRegister(getOperand(0)));
  addOperand(toValue(getOperand(1), value));
  addOperand(toValue(getOperand(2), value));
  addOperand(isBySign ? toValue(getOperand(3), Type::B32)
                      : toPredicate(getOperand(3)));
  finish(isBySign ? Operation::SelectBySign : Operation::Select);
}
