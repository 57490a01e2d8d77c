//===- Operands.cpp - decodes operands ------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/program/Decoder.h"

#include <cstring>

using namespace emulated;

const ptx::Operand &Decoder::getOperand(unsigned index) const {
  if (index >= statement->operands.size())
    fail("expected at least " + std::to_string(index + 1) + " operands, got " +
         std::to_string(statement->operands.size()));
  return statement->operands[index];
}

std::vector<const ptx::Operand *>
Decoder::getParts(const ptx::Operand &operand) const {
  if (operand.kind != ptx::Operand::Vector)
    return {&operand};
  std::vector<const ptx::Operand *> parts;
  for (const ptx::Operand &part : operand.parts)
    parts.push_back(&part);
  return parts;
}

Operand Decoder::toConstant(uint64_t value, bool isWide) {
  if (!isWide)
    value &= 0xffffffffu;
  auto inserted = state.constantOffsets.insert({{value, isWide}, 0});
  std::vector<uint32_t> &constants = state.program.constants;
  if (inserted.second) {
    inserted.first->second = constants.size();
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      constants.push_back(uint32_t(value));
      if (isWide)
        constants.push_back(uint32_t(value >> 32));
    }
  }
  Operand operand;
  operand.kind = isWide ? Operand::Wide : Operand::Word;
  operand.bank = 1;
  operand.offset = inserted.first->second;
  return operand;
}

Operand Decoder::getSpecial(Special special, bool isWide) {
  auto inserted = state.specials.insert({special, Operand()});
  Operand &operand = inserted.first->second;
  if (inserted.second) {
    operand.kind = isWide ? Operand::Wide : Operand::Word;
    operand.offset = state.program.registerWords;
    state.program.registerWords += isWide ? 64 : 32;
    state.program.specials.push_back({special, operand});
  }
  return operand;
}

Operand Decoder::toSpecial(const std::string &name) {
  static const std::unordered_map<std::string, Special> kNames = {
      {"%tid.x", Special::ThreadX},
      {"%tid.y", Special::ThreadY},
      {"%tid.z", Special::ThreadZ},
      {"%ntid.x", Special::NumThreadsX},
      {"%ntid.y", Special::NumThreadsY},
      {"%ntid.z", Special::NumThreadsZ},
      {"%ctaid.x", Special::CtaX},
      {"%ctaid.y", Special::CtaY},
      {"%ctaid.z", Special::CtaZ},
      {"%nctaid.x", Special::NumCtasX},
      {"%nctaid.y", Special::NumCtasY},
      {"%nctaid.z", Special::NumCtasZ},
      {"%laneid", Special::Lane},
      {"%warpid", Special::Warp},
      {"%nwarpid", Special::NumWarps},
      {"%lanemask_eq", Special::MaskEqual},
      {"%lanemask_lt", Special::MaskLess},
      {"%lanemask_le", Special::MaskLessEqual},
      {"%lanemask_gt", Special::MaskGreater},
      {"%lanemask_ge", Special::MaskGreaterEqual},
      {"%smid", Special::Multiprocessor},
      {"%nsmid", Special::NumMultiprocessors},
      {"%gridid", Special::Grid},
      {"%cluster_ctarank", Special::ClusterRank},
      {"%cluster_nctarank", Special::ClusterNumCtas},
      {"%cluster_ctaid.x", Special::ClusterCtaX},
      {"%cluster_ctaid.y", Special::ClusterCtaY},
      {"%cluster_ctaid.z", Special::ClusterCtaZ},
      {"%cluster_nctaid.x", Special::ClusterNumCtasX},
      {"%cluster_nctaid.y", Special::ClusterNumCtasY},
      {"%cluster_nctaid.z", Special::ClusterNumCtasZ},
      {"%clusterid.x", Special::ClusterX},
      {"%clusterid.y", Special::ClusterY},
      {"%clusterid.z", Special::ClusterZ},
      {"%nclusterid.x", Special::NumClustersX},
      {"%nclusterid.y", Special::NumClustersY},
      {"%nclusterid.z", Special::NumClustersZ},
      {"%is_explicit_cluster", Special::IsExplicitCluster},
      {"%dynamic_smem_size", Special::DynamicShared},
      {"%total_smem_size", Special::TotalShared},
      {"%aggr_smem_size", Special::TotalShared},
  };
  auto found = kNames.find(name);
  if (found == kNames.end())
    fail("special register '" + name + "' is not supported");
  if (found->second != Special::IsExplicitCluster)
    return getSpecial(found->second, found->second == Special::Grid);
  Operand operand = getSpecial(found->second, false);
  operand.kind = Operand::Predicate;
  return operand;
}

Operand Decoder::toRegister(const ptx::Operand &operand) {
  if (operand.kind == ptx::Operand::Sink)
    return Operand();
  if (operand.kind != ptx::Operand::Register)
    fail("expected a register");
  Operand result = frame.registers[operand.index];
  result.isNegated = operand.isNegated;
  return result;
}

Operand Decoder::toPredicate(const ptx::Operand &operand) {
  if (operand.kind == ptx::Operand::Immediate)
    return toConstant(operand.value ? ~0ull : 0, false);
  if (operand.kind == ptx::Operand::Special)
    return toSpecial(operand.name);
  Operand result = toRegister(operand);
  if (result.kind != Operand::Predicate && result.kind != Operand::None)
    fail("expected a predicate");
  return result;
}

Operand Decoder::toVariable(const ptx::Operand &operand, bool isWide) {
  const ptx::Variable &variable = *operand.variable;
  uint64_t address = operand.value;
  auto local = frame.locals.find(&variable);
  auto shared = state.sharedOffsets.find(&variable);
  if (local != frame.locals.end())
    address += local->second;
  else if (shared != state.sharedOffsets.end())
    address += shared->second;
  else if (variable.space == Space::Global || variable.space == Space::Constant)
    address += state.getAddress(variable);
  else
    fail("the address of '" + variable.name + "' cannot be taken");
  return toConstant(address, isWide);
}

static uint64_t convertLiteral(const ptx::Operand &operand, Type type) {
  uint64_t bits = operand.value;
  if (operand.floatBits == 64 && type == Type::F32) {
    double wide;
    memcpy(&wide, &bits, sizeof wide);
    float narrow = float(wide);
    uint32_t word;
    memcpy(&word, &narrow, sizeof word);
    return word;
  }
  if (operand.floatBits == 32 && type == Type::F64) {
    uint32_t word = uint32_t(bits);
    float narrow;
    memcpy(&narrow, &word, sizeof narrow);
    double wide = narrow;
    memcpy(&bits, &wide, sizeof bits);
  }
  return bits;
}

Operand Decoder::toValue(const ptx::Operand &operand, Type expected) {
  bool isWide = sizeOf(expected) == 8;
  switch (operand.kind) {
  case ptx::Operand::Immediate:
    return toConstant(convertLiteral(operand, expected), isWide);
  case ptx::Operand::Variable:
    return toVariable(operand, isWide);
  case ptx::Operand::Special:
    return toSpecial(operand.name);
  case ptx::Operand::Register: {
    Operand result = toRegister(operand);
    if (expected == Type::Pred)
      return toPredicate(operand);
    if ((result.kind == Operand::Wide) != isWide ||
        result.kind == Operand::Predicate)
      fail("expected a register of " + std::to_string(8 * sizeOf(expected)) +
           " bits");
    return result;
  }
  case ptx::Operand::Sink:
    return Operand();
  default:
    fail(operand.name.empty() ? "expected a register or a constant"
                              : "'" + operand.name + "' is not declared");
  }
}

uint64_t Decoder::toImmediate(const ptx::Operand &operand) {
  if (operand.kind != ptx::Operand::Immediate)
    fail("expected a constant");
  return operand.value;
}

AddressOperand Decoder::toAddress(const ptx::Operand &operand, Space space) {
  if (operand.kind != ptx::Operand::Address)
    fail("expected an address in brackets");
  const ptx::Operand &base = operand.parts[0];
  AddressOperand address;
  address.space = space;
  address.offset = base.value;
  switch (base.kind) {
  case ptx::Operand::Immediate:
    return address;
  case ptx::Operand::Register:
    address.base = toRegister(base);
    if (address.base.kind == Operand::Predicate)
      fail("expected an address");
    return address;
  case ptx::Operand::Variable: {
    auto parameter = state.parameterOffsets.find(base.variable);
    if (parameter != state.parameterOffsets.end()) {
      address.base = getSpecial(Special::Parameters, true);
      address.offset += parameter->second;
      return address;
    }
    // Parameters of calls are local variables.
    if (space == Space::Param)
      address.space = Space::Local;
    address.base = toVariable(base, true);
    address.offset = 0;
    return address;
  }
  default:
    fail(base.name.empty() ? "expected an address"
                           : "'" + base.name + "' is not declared");
  }
}
