//===- DecodeMemory.cpp - decodes accesses to memory ----------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/program/Decoder.h"

using namespace emulated;

void Decoder::takeOrder() {
  instruction.isReleasing = has("release") || has("acq_rel");
  instruction.isStrong = instruction.isReleasing || has("volatile") ||
                         has("relaxed") || has("acquire") || has("mmio");
}

void Decoder::decodeLoad() {
  takeOrder();
  skipCacheHints();
  skipScopes();
  Space space = getSpace();
  instruction.count = getMultiplicity('v');
  std::vector<const ptx::Operand *> parts = getParts(getOperand(0));
  if (parts.size() != instruction.count)
    fail("expected " + std::to_string(instruction.count) + " registers, got " +
         std::to_string(parts.size()));
  for (const ptx::Operand *part : parts)
    addResult(toRegister(*part));
  if (sizeOf(type) > 8)
    fail("elements of 128 bits are not supported");
  instruction.addresses[0] = toAddress(getOperand(1), space);
  const AddressOperand &address = instruction.addresses[0];
  bool isParameter = address.space == Space::Param &&
                     getOperand(1).parts[0].kind == ptx::Operand::Variable;
  if (!isParameter)
    return finish(load);
  instruction.immediate = address.offset;
  finish(loadParameter);
}

void Decoder::decodeStore() {
  takeOrder();
  skipCacheHints();
  skipScopes();
  Space space = getSpace();
  instruction.count = getMultiplicity('v');
  std::vector<const ptx::Operand *> parts = getParts(getOperand(1));
  if (parts.size() != instruction.count)
    fail("expected " + std::to_string(instruction.count) + " values, got " +
         std::to_string(parts.size()));
  if (sizeOf(type) > 8)
    fail("elements of 128 bits are not supported");
  for (const ptx::Operand *part : parts)
    addOperand(part->kind == ptx::Operand::Register ? toRegister(*part)
                                                    : toValue(*part, type));
  instruction.addresses[0] = toAddress(getOperand(0), space);
  if (instruction.addresses[0].space == Space::Param)
    fail("parameters of a kernel cannot be written");
  finish(store);
}

void Decoder::decodeAtomic() {
  static const char *const kOperations[] = {"add", "min",  "max", "and", "or",
                                            "xor", "exch", "cas", "inc", "dec"};
  takeOrder();
  skipCacheHints();
  skipScopes();
  Space space = getSpace();
  has("noftz");
  unsigned operation = 10;
  for (unsigned i = 0; i < 10; ++i)
    if (has(kOperations[i]))
      operation = i;
  if (operation == 10)
    fail("expected the operation");
  instruction.flags = operation;
  instruction.count = getMultiplicity('v');
  bool isReturning = statement->opcode[0] == "atom";
  unsigned next = 0;
  if (isReturning)
    for (const ptx::Operand *part : getParts(getOperand(next++)))
      addResult(toRegister(*part));
  instruction.addresses[0] = toAddress(getOperand(next++), space);
  std::vector<const ptx::Operand *> parts = getParts(getOperand(next++));
  if (parts.size() != instruction.count)
    fail("expected " + std::to_string(instruction.count) + " values, got " +
         std::to_string(parts.size()));
  for (const ptx::Operand *part : parts)
    addOperand(toValue(*part, type));
  if (operation == unsigned(AtomicOperation::CompareAndSwap))
    addOperand(toValue(getOperand(next), type));
  finish(atomic);
}

void Decoder::decodeConvertAddress() {
  bool isBackwards = has("to");
  Space space = getSpace();
  uint64_t window = space == Space::Shared  ? kSharedWindow
                    : space == Space::Local ? kLocalWindow
                                            : 0;
  if (type != Type::U64)
    fail("expected 64-bit addresses");
  addResult(toRegister(getOperand(0)));
  const ptx::Operand &from = getOperand(1);
  if (from.kind == ptx::Operand::Variable &&
      state.parameterOffsets.count(from.variable)) {
    addOperand(getSpecial(Special::Parameters, true));
    addOperand(
        toConstant(state.parameterOffsets[from.variable] + from.value, true));
    return finish(Operation::Add);
  }
  addOperand(toValue(from, Type::U64));
  if (!window) {
    instruction.source = Type::U64;
    return finish(Operation::Move);
  }
  addOperand(toConstant(isBackwards ? -window : window, true));
  finish(Operation::Add);
}

void Decoder::decodeIsSpace() {
  Space space = getSpace();
  instruction.flags = unsigned(space);
  addResult(toPredicate(getOperand(0)));
  addOperand(toValue(getOperand(1), type == Type::None ? Type::U64 : type));
  finish(isInSpace);
}

void Decoder::decodeMapAddress() {
  bool isRank = statement->opcode[0] == "getctarank";
  bool isGeneric = getSpace() == Space::Generic;
  instruction.flags = isGeneric;
  addResult(toRegister(getOperand(0)));
  addOperand(
      toValue(getOperand(1), isRank ? (isGeneric ? Type::U64 : type) : type));
  if (isRank)
    return finish(getSharedRank);
  addOperand(toValue(getOperand(2), Type::B32));
  finish(mapShared);
}

void Decoder::decodePrefetch() {
  // Hints about caches; createpolicy gives a value that only hints take.
  isUsed.assign(isUsed.size(), true);
  if (statement->opcode[0] != "createpolicy")
    return finish(doNothing);
  addResult(toRegister(getOperand(0)));
  addOperand(toConstant(0, true));
  instruction.type = Type::B64;
  instruction.source = Type::B64;
  finish(Operation::Move);
}

void Decoder::decodeFence() {
  has("mbarrier_init") ? instruction.flags |= 2 : 0;
  if (has("proxy"))
    instruction.flags |= has("async") ? 1 : 0;
  for (const char *name : {"alias", "tensormap::generic", "generic",
                           "async::generic", "sync_restrict::shared::cta",
                           "sync_restrict::shared::cluster", "global"})
    has(name);
  getPrefixed("shared::");
  skipCacheHints();
  skipScopes();
  instruction.type = Type::B32;
  finish(fence);
}
