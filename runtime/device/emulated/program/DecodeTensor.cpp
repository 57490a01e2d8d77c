//===- DecodeTensor.cpp - decodes tensor cores ----------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/execute/TensorHandlers.h"
#include "runtime/device/emulated/program/Decoder.h"

using namespace emulated;

void Decoder::decodeMatrixLoad() {
  has("sync"), has("aligned"), has("m8n8");
  instruction.flags = has("trans");
  instruction.count = getMultiplicity('x');
  Space space = getSpace();
  for (const ptx::Operand *part : getParts(getOperand(0)))
    addResult(toRegister(*part));
  instruction.addresses[0] = toAddress(getOperand(1), space);
  if (results.size() != instruction.count)
    fail("expected " + std::to_string(instruction.count) + " registers, got " +
         std::to_string(results.size()));
  finish(loadMatrix);
}

void Decoder::decodeMatrixStore() {
  has("sync"), has("aligned"), has("m8n8");
  instruction.flags = has("trans");
  instruction.count = getMultiplicity('x');
  Space space = getSpace();
  instruction.addresses[0] = toAddress(getOperand(0), space);
  for (const ptx::Operand *part : getParts(getOperand(1)))
    addOperand(toValue(*part, Type::B32));
  if (operands.size() != instruction.count)
    fail("expected " + std::to_string(instruction.count) + " registers, got " +
         std::to_string(operands.size()));
  finish(storeMatrix);
}

void Decoder::decodeMma() {
  // Sums of integers that are in range are the same with .satfinite.
  has("sync"), has("aligned"), has("satfinite");
  if (!has("row") || !has("col"))
    fail("expected A by rows and B by columns");
  std::string shape = getPrefixed("m16n8k");
  if (shape.empty())
    fail("expected a shape m16n8k8, m16n8k16 or m16n8k32");
  if (types.size() != 4)
    fail("expected the types of D, A, B and C");
  unsigned depth = std::stoul(shape.substr(6));
  instruction.count = depth;
  instruction.type = types[1];
  instruction.source = types[2];
  unsigned size = sizeOf(types[1]);
  bool isKnown = types[1] == Type::F16 || types[1] == Type::BF16 ||
                 types[1] == Type::TF32 || types[1] == Type::S8 ||
                 types[1] == Type::U8 || types[1] == Type::E4M3 ||
                 types[1] == Type::E5M2;
  // A register holds 4 bytes of k for each of four lanes.
  unsigned numB = depth * size / 16, numA = 2 * numB;
  if (!isKnown || size != sizeOf(types[2]) || numB < 1 || numB > 2)
    fail("the emulated device does not multiply these types in this shape");
  instruction.immediate = numA | numB << 8;
  instruction.flags =
      (types[3] == Type::F16 ? 1 : 0) | (types[0] == Type::F16 ? 2 : 0);
  for (const ptx::Operand *part : getParts(getOperand(0)))
    addResult(toRegister(*part));
  for (unsigned i = 1; i <= 3; ++i)
    for (const ptx::Operand *part : getParts(getOperand(i)))
      addOperand(toValue(*part, Type::B32));
  unsigned numSums = instruction.flags & 1 ? 2 : 4;
  unsigned numResults = instruction.flags & 2 ? 2 : 4;
  if (operands.size() != numA + numB + numSums || results.size() != numResults)
    fail("expected " + std::to_string(numResults) + " results and " +
         std::to_string(numA + numB + numSums) + " operands, got " +
         std::to_string(results.size()) + " and " +
         std::to_string(operands.size()));
  finish(multiplyMatrix);
}

void Decoder::decodeWgmma() {
  has("sync"), has("aligned");
  instruction.type = Type::B32;
  if (has("fence"))
    return finish(wgmmaFence);
  if (has("commit_group"))
    return finish(wgmmaCommit);
  if (has("wait_group")) {
    instruction.immediate = toImmediate(getOperand(0));
    return finish(wgmmaWait);
  }
  if (!has("mma_async") || types.size() != 3)
    fail("expected wgmma.mma_async with the types of D, A and B");
  std::string shape = getPrefixed("m64n");
  size_t depthAt = shape.find('k');
  if (depthAt == std::string::npos)
    fail("expected a shape m64nNkK");
  has("satfinite");
  instruction.count = std::stoul(shape.substr(4));
  instruction.type = types[1];
  instruction.source = types[2];
  if (std::stoul(shape.substr(depthAt + 1)) * sizeOf(types[1]) != 32 ||
      instruction.count % 8 || instruction.count > 256)
    fail("expected 32 bytes along k and at most 256 columns");
  if (types[0] == Type::F16)
    instruction.flags |= kWgmmaHalf;
  if (types[0] == Type::S32)
    instruction.flags |= kWgmmaInteger;
  for (const ptx::Operand *part : getParts(getOperand(0)))
    addResult(toRegister(*part));
  unsigned numSums = instruction.count / (types[0] == Type::F16 ? 4 : 2);
  if (results.size() != numSums)
    fail("expected " + std::to_string(numSums) + " registers, got " +
         std::to_string(results.size()));
  bool isAInRegisters = getOperand(1).kind == ptx::Operand::Vector;
  if (isAInRegisters) {
    instruction.flags |= kWgmmaRegisters;
    for (const ptx::Operand *part : getParts(getOperand(1)))
      addOperand(toValue(*part, Type::B32));
  } else {
    addOperand(toValue(getOperand(1), Type::B64));
  }
  addOperand(toValue(getOperand(2), Type::B64));
  addOperand(toPredicate(getOperand(3)));
  // Signs of A and B, if the types have them; then transpositions.
  unsigned next = 4;
  auto take = [&] {
    return next < getNumOperands() ? int64_t(toImmediate(getOperand(next++)))
                                   : 0;
  };
  if (!(instruction.flags & kWgmmaInteger)) {
    instruction.flags |= take() == -1 ? kWgmmaNegateA : 0;
    instruction.flags |= take() == -1 ? kWgmmaNegateB : 0;
  }
  if (!isAInRegisters)
    instruction.flags |= take() ? kWgmmaTransposeA : 0;
  instruction.flags |= take() ? kWgmmaTransposeB : 0;
  finish(wgmmaMultiply);
}

/// The width of the shapes of tcgen05.ld and st in bits; 0 for others.
static unsigned getShapeWidth(const std::string &shape) {
  return shape == "32x32b"     ? 32
         : shape == "16x32bx2" ? 16
         : shape == "16x256b"  ? 256
                               : 0;
}

void Decoder::decodeTcgen05() {
  has("sync"), has("aligned"), has("cta_group::1");
  // Shapes such as 32x32b are no types.
  std::string shape;
  for (const char *name : {"32x32b", "16x32bx2", "16x256b"})
    if (has(name))
      shape = name;
  if (type == Type::None)
    instruction.type = Type::B32;
  if (has("alloc")) {
    Space space = getSpace();
    instruction.addresses[0] = toAddress(getOperand(0), space);
    addOperand(toValue(getOperand(1), Type::B32));
    return finish(tensorMemoryAllocate);
  }
  if (has("dealloc")) {
    addOperand(toValue(getOperand(0), Type::B32));
    addOperand(toValue(getOperand(1), Type::B32));
    return finish(tensorMemoryFree);
  }
  if (has("relinquish_alloc_permit") || has("wait::ld") || has("wait::st") ||
      has("fence::before_thread_sync") || has("fence::after_thread_sync"))
    return finish(doNothing);
  if (has("ld") || has("st")) {
    bool isLoad = statement->opcode[1] == "ld";
    instruction.immediate = getShapeWidth(shape);
    if (!instruction.immediate)
      fail("expected a shape 32x32b, 16x32bx2 or 16x256b");
    unsigned count =
        getMultiplicity('x') * (instruction.immediate == 256 ? 4 : 1);
    has("unpack::16b") ? fail("unpacking is not supported") : void();
    // The halves of 16x32bx2 lie this many columns apart.
    unsigned last = getNumOperands() - 1;
    if (instruction.immediate == 16)
      instruction.count = toImmediate(getOperand(isLoad ? last : 1));
    for (const ptx::Operand *part : getParts(getOperand(isLoad ? 0 : last)))
      isLoad ? addResult(toRegister(*part))
             : addOperand(toValue(*part, Type::B32));
    instruction.addresses[0] =
        toAddress(getOperand(isLoad ? 1 : 0), Space::Generic);
    if (results.size() + operands.size() != count)
      fail("expected " + std::to_string(count) + " registers");
    return finish(isLoad ? tensorMemoryLoad : tensorMemoryStore);
  }
  if (has("commit")) {
    has("mbarrier::arrive::one");
    has("b64");
    Space space = getSpace();
    instruction.addresses[0] = toAddress(getOperand(0), space);
    return finish(tensorCommit);
  }
  if (has("cp")) {
    instruction.count = has("128x256b") ? 8 : has("128x128b") ? 4 : 0;
    if (!instruction.count)
      fail("expected a shape 128x256b or 128x128b");
    instruction.addresses[0] = toAddress(getOperand(0), Space::Generic);
    addOperand(toValue(getOperand(1), Type::B64));
    return finish(tensorMemoryCopy);
  }
  if (!has("mma"))
    fail("the emulated device does not know this instruction");
  static const char *const kKinds[] = {"kind::f16", "kind::tf32",
                                       "kind::f8f6f4", "kind::i8"};
  unsigned kind = 4;
  for (unsigned i = 0; i < 4; ++i)
    if (has(kKinds[i]))
      kind = i;
  if (kind == 4)
    fail("expected a kind f16, tf32, f8f6f4 or i8");
  getPrefixed("collector::");
  instruction.flags = kind << 4;
  instruction.addresses[0] = toAddress(getOperand(0), Space::Generic);
  if (getOperand(1).kind == ptx::Operand::Address) {
    instruction.flags |= 1;
    instruction.addresses[1] = toAddress(getOperand(1), Space::Generic);
  } else {
    addOperand(toValue(getOperand(1), Type::B64));
  }
  addOperand(toValue(getOperand(2), Type::B64));
  addOperand(toValue(getOperand(3), Type::B32));
  // A vector of disabled lanes may come before the predicate.
  addOperand(toPredicate(
      getOperand(getOperand(4).kind == ptx::Operand::Vector ? 5 : 4)));
  finish(tensorMultiply);
}
