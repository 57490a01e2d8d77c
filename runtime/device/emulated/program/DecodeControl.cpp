//===- DecodeControl.cpp - decodes control and synchronisation ------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/program/Decoder.h"

using namespace emulated;

void Decoder::decodeBranch() {
  has("uni");
  const ptx::Operand &label = getOperand(0);
  if (label.kind != ptx::Operand::Label)
    fail("label '" + label.name + "' is not defined");
  // The number of a statement, until the linker replaces it.
  instruction.target = label.index;
  finish(nullptr, Control::Branch);
}

void Decoder::decodeBranchIndexed() {
  has("idx");
  has("uni");
  addOperand(toValue(getOperand(0), Type::B32));
  for (const ptx::TargetList &list : frame.function->targetLists)
    if (list.name == getOperand(1).name) {
      instruction.target = state.targetLists.size();
      state.targetLists.push_back(list.targets);
      return finish(nullptr, Control::BranchIndexed);
    }
  fail("the list of targets '" + getOperand(1).name + "' is not defined");
}

void Decoder::addCopy(uint32_t to, uint32_t from, uint32_t size) {
  instruction.flags = from;
  instruction.count = to;
  instruction.immediate = size;
  instruction.run = copyLocal;
  append();
}

/// `call (results), name, (arguments)`: arguments and results are copied
/// between local variables of the two frames.
void Decoder::decodeCall() {
  has("uni");
  requireAllUsed();
  std::vector<const ptx::Operand *> lists[2];
  const ptx::Function *callee = nullptr;
  for (const ptx::Operand &operand : statement->operands) {
    if (operand.kind == ptx::Operand::Name && !callee) {
      callee = state.program.module->findFunction(operand.name);
    } else if (operand.kind == ptx::Operand::Arguments) {
      for (const ptx::Operand &part : operand.parts)
        lists[callee != nullptr].push_back(&part);
    }
  }
  const Frame &other = state.frames.at(callee);
  auto copy = [&](const std::vector<const ptx::Operand *> &values,
                  const std::vector<std::unique_ptr<ptx::Variable>> &variables,
                  bool isResult) {
    if (values.size() != variables.size())
      fail("expected " + std::to_string(variables.size()) + " " +
           (isResult ? "results" : "arguments") + ", got " +
           std::to_string(values.size()));
    for (size_t i = 0; i < values.size(); ++i) {
      auto local = frame.locals.find(values[i]->variable);
      if (local == frame.locals.end())
        fail("expected variables in .param space as arguments");
      uint32_t theirs = other.locals.at(variables[i].get());
      uint32_t size = variables[i]->size;
      isResult ? addCopy(local->second, theirs, size)
               : addCopy(theirs, local->second, size);
    }
  };
  copy(lists[1], callee->parameters, false);
  instruction.control = Control::Call;
  append();
  copy(lists[0], callee->results, true);
}

void Decoder::decodeReturn() {
  has("uni");
  bool isExit = statement->opcode[0] == "exit" || frame.function->isEntry;
  finish(nullptr, isExit ? Control::Exit : Control::Return);
}

void Decoder::decodeTrap() { finish(trap); }

void Decoder::decodeNothing() {
  isUsed.assign(isUsed.size(), true);
  instruction.type = Type::B32;
  finish(doNothing);
}

void Decoder::decodeBarrier() {
  instruction.type = Type::B32;
  if (has("warp")) {
    has("sync");
    addOperand(toValue(getOperand(0), Type::B32));
    return finish(warpBarrier, Control::Synchronise);
  }
  if (has("cluster")) {
    instruction.flags = has("arrive") ? kBarrierArrives : kBarrierWaits;
    has("wait");
    has("aligned");
    skipCacheHints();
    return finish(clusterBarrier, Control::Synchronise);
  }
  has("cta");
  bool isAligned = has("aligned") || statement->opcode[0] == "bar";
  instruction.flags = isAligned ? kBarrierAligned : 0;
  if (has("red")) {
    unsigned kind = has("popc") ? 0 : has("and") ? 1 : 2;
    has("or");
    instruction.flags |=
        kBarrierArrives | kBarrierWaits | kind << kBarrierReduceShift;
    addResult(kind ? toPredicate(getOperand(0)) : toRegister(getOperand(0)));
    unsigned last = getNumOperands() - 1;
    addOperand(toValue(getOperand(1), Type::B32));
    addOperand(last == 3 ? toValue(getOperand(2), Type::B32)
                         : toConstant(0, false));
    addOperand(toPredicate(getOperand(last)));
    return finish(barrierReduce, Control::Synchronise);
  }
  bool isArrive = has("arrive");
  has("sync");
  instruction.flags |= kBarrierArrives | (isArrive ? 0 : kBarrierWaits);
  addOperand(toValue(getOperand(0), Type::B32));
  addOperand(getNumOperands() > 1 ? toValue(getOperand(1), Type::B32)
                                  : toConstant(0, false));
  finish(barrier, Control::Synchronise);
}

void Decoder::decodeShuffle() {
  has("sync");
  instruction.flags = has("up") ? 0 : has("down") ? 1 : has("bfly") ? 2 : 3;
  has("idx");
  const ptx::Operand &to = getOperand(0);
  if (to.kind == ptx::Operand::Pair) {
    addResult(toRegister(to.parts[0]));
    addResult(toPredicate(to.parts[1]));
  } else {
    addResult(toRegister(to));
  }
  for (unsigned i = 1; i <= 4; ++i)
    addOperand(toValue(getOperand(i), Type::B32));
  finish(shuffle);
}

void Decoder::decodeVote() {
  has("sync");
  instruction.flags = has("all") ? 0 : has("any") ? 1 : has("uni") ? 2 : 3;
  has("ballot");
  addResult(toRegister(getOperand(0)));
  addOperand(toPredicate(getOperand(1)));
  addOperand(toValue(getOperand(2), Type::B32));
  finish(vote);
}

void Decoder::decodeMatch() {
  has("sync");
  instruction.flags = has("all");
  has("any");
  const ptx::Operand &to = getOperand(0);
  if (to.kind == ptx::Operand::Pair) {
    addResult(toRegister(to.parts[0]));
    addResult(toPredicate(to.parts[1]));
  } else {
    addResult(toRegister(to));
  }
  addOperand(toValue(getOperand(1), type));
  addOperand(toValue(getOperand(2), Type::B32));
  finish(match);
}

void Decoder::decodeReduce() {
  static const char *const kOperations[] = {"add", "min", "max",
                                            "and", "or",  "xor"};
  has("sync");
  for (unsigned i = 0; i < 6; ++i)
    if (has(kOperations[i]))
      instruction.flags = i;
  if (has("NaN"))
    instruction.flags |= 16;
  if (has("abs"))
    instruction.flags |= 32;
  addResult(toRegister(getOperand(0)));
  addOperand(toValue(getOperand(1), type));
  addOperand(toValue(getOperand(2), Type::B32));
  finish(reduce);
}

void Decoder::decodeActiveMask() {
  addResult(toRegister(getOperand(0)));
  finish(readActiveMask);
}

void Decoder::decodeElect() {
  has("sync");
  const ptx::Operand &to = getOperand(0);
  if (to.kind != ptx::Operand::Pair)
    fail("expected a register and a predicate as results");
  addResult(toRegister(to.parts[0]));
  addResult(toPredicate(to.parts[1]));
  addOperand(toValue(getOperand(1), Type::B32));
  instruction.type = Type::B32;
  finish(elect);
}
