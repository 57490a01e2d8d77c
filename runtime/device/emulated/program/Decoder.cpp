//===- Decoder.cpp - turns statements into instructions -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/program/Decoder.h"

#include "runtime/device/emulated/execute/Handlers.h"

#include <cstring>

using namespace emulated;

const std::unordered_map<std::string, Decoder::Member> &Decoder::getTable() {
  static const std::unordered_map<std::string, Member> table = {
      {"add", &Decoder::decodeBinary},
      {"sub", &Decoder::decodeBinary},
      {"div", &Decoder::decodeBinary},
      {"rem", &Decoder::decodeBinary},
      {"min", &Decoder::decodeBinary},
      {"max", &Decoder::decodeBinary},
      {"mul", &Decoder::decodeMul},
      {"mul24", &Decoder::decodeMul},
      {"mad", &Decoder::decodeMad},
      {"mad24", &Decoder::decodeMad},
      {"fma", &Decoder::decodeMad},
      {"sad", &Decoder::decodeMad},
      {"dp4a", &Decoder::decodeDotProduct},
      {"dp2a", &Decoder::decodeDotProduct},
      {"addc", &Decoder::decodeCarry},
      {"subc", &Decoder::decodeCarry},
      {"madc", &Decoder::decodeCarry},
      {"and", &Decoder::decodeLogic},
      {"or", &Decoder::decodeLogic},
      {"xor", &Decoder::decodeLogic},
      {"not", &Decoder::decodeLogic},
      {"cnot", &Decoder::decodeLogic},
      {"shl", &Decoder::decodeShift},
      {"shr", &Decoder::decodeShift},
      {"shf", &Decoder::decodeFunnel},
      {"popc", &Decoder::decodeCount},
      {"clz", &Decoder::decodeCount},
      {"brev", &Decoder::decodeCount},
      {"bfind", &Decoder::decodeFindLeading},
      {"bfe", &Decoder::decodeField},
      {"bfi", &Decoder::decodeField},
      {"bmsk", &Decoder::decodeField},
      {"szext", &Decoder::decodeField},
      {"prmt", &Decoder::decodePermute},
      {"lop3", &Decoder::decodeLogic3},
      {"rcp", &Decoder::decodeFunction},
      {"sqrt", &Decoder::decodeFunction},
      {"rsqrt", &Decoder::decodeFunction},
      {"sin", &Decoder::decodeFunction},
      {"cos", &Decoder::decodeFunction},
      {"ex2", &Decoder::decodeFunction},
      {"lg2", &Decoder::decodeFunction},
      {"tanh", &Decoder::decodeFunction},
      {"abs", &Decoder::decodeSign},
      {"neg", &Decoder::decodeSign},
      {"copysign", &Decoder::decodeCopySign},
      {"mov", &Decoder::decodeMove},
      {"selp", &Decoder::decodeSelect},
      {"slct", &Decoder::decodeSelect},
      {"setp", &Decoder::decodeSetp},
      {"set", &Decoder::decodeSet},
      {"testp", &Decoder::decodeTestProperty},
      {"cvt", &Decoder::decodeConvert},
      {"ld", &Decoder::decodeLoad},
      {"ldu", &Decoder::decodeLoad},
      {"st", &Decoder::decodeStore},
      {"atom", &Decoder::decodeAtomic},
      {"red", &Decoder::decodeAtomic},
      {"cvta", &Decoder::decodeConvertAddress},
      {"isspacep", &Decoder::decodeIsSpace},
      {"mapa", &Decoder::decodeMapAddress},
      {"getctarank", &Decoder::decodeMapAddress},
      {"prefetch", &Decoder::decodePrefetch},
      {"prefetchu", &Decoder::decodePrefetch},
      {"applypriority", &Decoder::decodePrefetch},
      {"discard", &Decoder::decodePrefetch},
      {"createpolicy", &Decoder::decodePrefetch},
      {"fence", &Decoder::decodeFence},
      {"membar", &Decoder::decodeFence},
      {"bra", &Decoder::decodeBranch},
      {"brx", &Decoder::decodeBranchIndexed},
      {"call", &Decoder::decodeCall},
      {"ret", &Decoder::decodeReturn},
      {"exit", &Decoder::decodeReturn},
      {"trap", &Decoder::decodeTrap},
      {"brkpt", &Decoder::decodeTrap},
      {"bar", &Decoder::decodeBarrier},
      {"barrier", &Decoder::decodeBarrier},
      {"shfl", &Decoder::decodeShuffle},
      {"vote", &Decoder::decodeVote},
      {"match", &Decoder::decodeMatch},
      {"redux", &Decoder::decodeReduce},
      {"activemask", &Decoder::decodeActiveMask},
      {"elect", &Decoder::decodeElect},
      {"nanosleep", &Decoder::decodeNothing},
      {"setmaxnreg", &Decoder::decodeNothing},
      {"griddepcontrol", &Decoder::decodeNothing},
      {"pmevent", &Decoder::decodeNothing},
      {"ldmatrix", &Decoder::decodeMatrixLoad},
      {"stmatrix", &Decoder::decodeMatrixStore},
      {"mma", &Decoder::decodeMma},
      {"cp", &Decoder::decodeCopyAsync},
      {"mbarrier", &Decoder::decodeMbarrier},
      {"wgmma", &Decoder::decodeWgmma},
      {"tcgen05", &Decoder::decodeTcgen05},
  };
  return table;
}

Decoder::Decoder(LinkState &state, const Frame &frame)
    : state(state), frame(frame) {}

void Decoder::fail(const std::string &message) const {
  std::string opcode;
  for (const std::string &part : statement->opcode)
    opcode += (opcode.empty() ? "" : ".") + part;
  throw PtxError(statement->line, "instruction '" + opcode + "': " + message);
}

void Decoder::decode(const ptx::Instruction &next) {
  statement = &next;
  instruction = Instruction();
  results.clear();
  operands.clear();
  types.clear();
  isUsed.assign(next.opcode.size(), false);
  isUsed[0] = true;
  for (size_t i = 1; i < next.opcode.size(); ++i) {
    Type named = parseType(next.opcode[i]);
    if (named == Type::None)
      continue;
    types.push_back(named);
    isUsed[i] = true;
  }
  type = types.empty() ? Type::None : types.back();
  auto found = getTable().find(next.opcode[0]);
  if (found == getTable().end())
    fail("the emulated device does not know this instruction");
  (this->*found->second)();
}

bool Decoder::has(const char *modifier) {
  for (size_t i = 1; i < isUsed.size(); ++i)
    if (statement->opcode[i] == modifier) {
      isUsed[i] = true;
      return true;
    }
  return false;
}

std::string Decoder::getPrefixed(const char *prefix) {
  for (size_t i = 1; i < isUsed.size(); ++i)
    if (!statement->opcode[i].compare(0, strlen(prefix), prefix)) {
      isUsed[i] = true;
      return statement->opcode[i];
    }
  return "";
}

unsigned Decoder::getMultiplicity(char letter) {
  for (size_t i = 1; i < isUsed.size(); ++i) {
    const std::string &part = statement->opcode[i];
    if (part.size() < 2 || part[0] != letter ||
        part.find_first_not_of("0123456789", 1) != std::string::npos)
      continue;
    isUsed[i] = true;
    return std::stoul(part.substr(1));
  }
  return 1;
}

void Decoder::skipCacheHints() {
  for (const char *name :
       {"nc", "ca", "cg", "cs", "lu", "cv", "wb", "wt", "volatile", "weak",
        "relaxed", "acquire", "release", "acq_rel", "sc", "mmio", "unified"})
    has(name);
  while (!getPrefixed("L1::").empty() || !getPrefixed("L2::").empty()) {
    bool isAnyLeft = false;
    for (size_t i = 1; i < isUsed.size(); ++i)
      if (!isUsed[i] && (!statement->opcode[i].compare(0, 4, "L1::") ||
                         !statement->opcode[i].compare(0, 4, "L2::"))) {
        isUsed[i] = true;
        isAnyLeft = true;
      }
    if (!isAnyLeft)
      break;
  }
}

void Decoder::skipScopes() {
  for (const char *name : {"cta", "cluster", "gpu", "sys", "gl"})
    has(name);
}

Space Decoder::getSpace() {
  if (has("global"))
    return Space::Global;
  if (has("shared") || !getPrefixed("shared::").empty())
    return Space::Shared;
  if (has("local"))
    return Space::Local;
  if (has("const"))
    return Space::Constant;
  if (has("param") || !getPrefixed("param::").empty())
    return Space::Param;
  return Space::Generic;
}

void Decoder::requireAllUsed() {
  for (size_t i = 0; i < isUsed.size(); ++i)
    if (!isUsed[i])
      fail("modifier '." + statement->opcode[i] +
           "' is not supported by the emulated device");
}

Rounding Decoder::getRounding() {
  if (has("rz") || has("rzi"))
    return Rounding::Zero;
  if (has("rm") || has("rmi"))
    return Rounding::Down;
  if (has("rp") || has("rpi"))
    return Rounding::Up;
  if (has("rna"))
    return Rounding::NearestAway;
  has("rn") || has("rni");
  return Rounding::Nearest;
}

void Decoder::decodeFloatModifiers() {
  // The control register of SSE: bits 13-14 round, 15 and 6 flush subnormals.
  switch (getRounding()) {
  case Rounding::Down:
    instruction.floatControl |= 1u << 13;
    break;
  case Rounding::Up:
    instruction.floatControl |= 2u << 13;
    break;
  case Rounding::Zero:
    instruction.floatControl |= 3u << 13;
    break;
  default:
    break;
  }
  if (has("ftz"))
    instruction.floatControl |= 1u << 15 | 1u << 6;
  has("approx") || has("full");
  if (has("sat"))
    instruction.flags |= kSaturate;
  if (has("NaN"))
    instruction.flags |= kPropagateNaN;
  if (has("relu"))
    instruction.flags |= kRelu;
}

void Decoder::append() {
  Program &program = state.program;
  instruction.statement = statement;
  auto keep = [&](std::vector<Operand> &list) {
    program.operandLists.push_back(std::move(list));
    list.clear();
    return program.operandLists.back().data();
  };
  instruction.numResults = results.size();
  instruction.numOperands = operands.size();
  instruction.results = keep(results);
  instruction.operands = keep(operands);
  if (statement->guard >= 0) {
    instruction.guard = frame.registers[statement->guard].offset;
    instruction.isGuardNegated = statement->isGuardNegated;
  }
  program.code.push_back(instruction);
  instruction = Instruction();
}

void Decoder::finish(Handler handler, Control control) {
  requireAllUsed();
  if (instruction.type == Type::None)
    instruction.type = type;
  instruction.run = handler;
  instruction.control = control;
  append();
}

void Decoder::finish(Operation operation) {
  if (instruction.type == Type::None)
    instruction.type = type;
  Handler handler = selectVector(
      {operation, instruction.type, instruction.source, instruction.flags});
  if (!handler)
    fail("the emulated device does not execute this for these types");
  if (instruction.floatControl) {
    instruction.wrapped = handler;
    handler = runWithFloatControl;
  }
  finish(handler);
}
