//===- Memory.cpp - loads and stores --------------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/execute/Warp.h"

#include <cstring>

using namespace emulated;

static const char *describe(Access access) {
  return access == Access::Read     ? "reads"
         : access == Access::Atomic ? "updates"
                                    : "writes";
}

static std::string toHex(uint64_t value) {
  char text[32];
  snprintf(text, sizeof text, "0x%llx", (unsigned long long)value);
  return text;
}

void emulated::computeAddresses(const Warp &warp, const AddressOperand &address,
                                uint64_t *addresses) {
  uint64_t offset = address.offset;
  switch (address.base.kind) {
  case Operand::Word: {
    const uint32_t *base = warp.word(address.base);
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      addresses[lane] = uint32_t(base[lane] + uint32_t(offset));
    break;
  }
  case Operand::Wide: {
    const uint64_t *base = warp.wide(address.base);
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      addresses[lane] = base[lane] + offset;
    break;
  }
  default:
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      addresses[lane] = offset;
  }
}

Cta &emulated::locateShared(Warp &warp, const Instruction &instruction,
                            unsigned lane, uint64_t address, uint32_t &offset) {
  if (address >= kSharedWindow)
    address -= kSharedWindow;
  uint64_t rank = address >> kClusterRankShift;
  offset = address & ((1u << kClusterRankShift) - 1);
  if (rank == 0)
    return *warp.cta;
  if (rank > warp.cta->cluster->ctas.size())
    warp.fail(FaultKind::IllegalAddress, instruction, lane,
              "names shared memory at " + toHex(address) +
                  ", which belongs to no CTA of the cluster");
  return warp.cta->cluster->ctas[rank - 1];
}

static uint8_t *resolveShared(Warp &warp, const Instruction &instruction,
                              unsigned lane, uint64_t address, unsigned size,
                              Access access) {
  uint32_t offset;
  Cta &cta = locateShared(warp, instruction, lane, address, offset);
  uint8_t *pointer = cta.getShared(offset, size);
  if (!pointer)
    warp.fail(FaultKind::IllegalAddress, instruction, lane,
              std::string(describe(access)) + " " + std::to_string(size) +
                  " bytes of shared memory at " + toHex(offset) +
                  ", outside of [" + toHex(cta.sharedBase) + ", " +
                  toHex(cta.sharedBase + cta.shared.size()) + ")");
  if (Checker *checker = warp.cta->cluster->checker.get())
    checker->accessShared(warp, instruction, lane, cta, offset, size, access);
  return pointer;
}

static uint8_t *resolveLocal(Warp &warp, const Instruction &instruction,
                             unsigned lane, uint64_t address, unsigned size,
                             Access access) {
  uint64_t limit = warp.cta->launch->program.localBytes;
  if (address >= kLocalWindow)
    address -= kLocalWindow;
  if (address > limit || size > limit - address)
    warp.fail(FaultKind::IllegalAddress, instruction, lane,
              std::string(describe(access)) + " " + std::to_string(size) +
                  " bytes of local memory at " + toHex(address) + ", beyond " +
                  std::to_string(limit) + " bytes");
  return warp.local + lane * limit + address;
}

static uint8_t *resolveGlobal(Warp &warp, const Instruction &instruction,
                              unsigned lane, uint64_t address, unsigned size,
                              Access access) {
  const Launch &launch = *warp.cta->launch;
  uint64_t parameters = reinterpret_cast<uint64_t>(launch.parameters);
  bool isParameter = access == Access::Read && address >= parameters &&
                     address + size <= parameters + sizeof launch.parameters;
  if (!isParameter && !launch.memory->find(address, size))
    warp.fail(FaultKind::IllegalAddress, instruction, lane,
              std::string(describe(access)) + " " + std::to_string(size) +
                  " bytes of global memory at " + toHex(address) + ", " +
                  launch.memory->describe(address));
  if (Checker *checker = warp.cta->cluster->checker.get();
      checker && !isParameter)
    checker->accessGlobal(warp, instruction, lane, address, size, access);
  return reinterpret_cast<uint8_t *>(address);
}

static Space classify(uint64_t address) {
  return address >= kLocalWindow    ? Space::Local
         : address >= kSharedWindow ? Space::Shared
                                    : Space::Global;
}

static void count(Warp &warp, const Instruction &instruction, Space space,
                  const uint64_t *addresses, uint32_t mask, unsigned size) {
  if (space == Space::Generic)
    space = classify(addresses[__builtin_ctz(mask)]);
  AccessCounters &accesses = warp.cta->cluster->accesses;
  unsigned line = instruction.statement ? instruction.statement->line : 0;
  if (space == Space::Shared)
    accesses.countShared(line, addresses, mask, size);
  else if (space == Space::Global)
    accesses.countGlobal(line, addresses, mask, size);
}

void emulated::resolve(Warp &warp, const Instruction &instruction,
                       const AddressOperand &operand, uint32_t mask,
                       unsigned size, Access access, uint8_t **pointers) {
  uint64_t addresses[kWarpSize];
  computeAddresses(warp, operand, addresses);
  Space space = operand.space;
  bool isChecked = warp.cta->launch->options.isChecked;
  if (warp.cta->launch->options.isCounting)
    count(warp, instruction, space, addresses, mask, size);
  if (space == Space::Generic && !isChecked) {
    // Mostly all lanes are in global memory.
    uint64_t all = 0;
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      all |= mask >> lane & 1 ? addresses[lane] : 0;
    if (all < kSharedWindow)
      space = Space::Global;
  }
  if ((space == Space::Global || space == Space::Constant ||
       space == Space::Param) &&
      !isChecked) {
    for (unsigned lane = 0; lane < kWarpSize; ++lane)
      pointers[lane] =
          reinterpret_cast<uint8_t *>(mask >> lane & 1 ? addresses[lane] : 0);
    return;
  }
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    pointers[lane] = nullptr;
    if (!(mask >> lane & 1))
      continue;
    uint64_t address = addresses[lane];
    if (address & (size - 1) && isChecked)
      warp.fail(FaultKind::Misaligned, instruction, lane,
                std::string(describe(access)) + " " + std::to_string(size) +
                    " bytes at " + toHex(address) +
                    ", which is not a multiple of the size");
    Space laneSpace = space == Space::Generic ? classify(address) : space;
    auto resolveLane = laneSpace == Space::Shared  ? resolveShared
                       : laneSpace == Space::Local ? resolveLocal
                                                   : resolveGlobal;
    pointers[lane] =
        resolveLane(warp, instruction, lane, address, size, access);
  }
}

/// Whether all lanes are active and their elements lie side by side.
static bool isContiguous(uint8_t *const *pointers, uint32_t mask,
                         unsigned size) {
  if (mask != kAllLanes)
    return false;
  uint64_t difference = 0;
  for (unsigned lane = 0; lane < kWarpSize; ++lane)
    difference |= reinterpret_cast<uint64_t>(pointers[lane]) ^
                  (reinterpret_cast<uint64_t>(pointers[0]) + lane * size);
  return difference == 0;
}

template <typename T, typename R>
static void loadElement(R *to, uint8_t *const *pointers, uint32_t mask,
                        bool isContiguous, unsigned offset) {
  T value;
  if (isContiguous) {
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      memcpy(&value, pointers[0] + offset + lane * sizeof(T), sizeof(T));
      to[lane] = R(value);
    }
    return;
  }
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    memcpy(&value, pointers[lane] + offset, sizeof(T));
    to[lane] = R(value);
  }
}

template <typename T>
static void loadElements(Warp &warp, const Instruction &x, uint32_t mask,
                         uint8_t *const *pointers) {
  bool isDense = x.numResults == 1 && isContiguous(pointers, mask, sizeof(T));
  // The address may be one of the results: the pointers are known already.
  for (unsigned i = 0; i < x.numResults; ++i) {
    const Operand &result = x.results[i];
    if (result.kind == Operand::Wide)
      loadElement<T>(warp.wide(result), pointers, mask, isDense, i * sizeof(T));
    else if (result.kind == Operand::Word)
      loadElement<T>(warp.word(result), pointers, mask, isDense, i * sizeof(T));
  }
}

static void loadByType(Warp &warp, const Instruction &x, uint32_t mask,
                       uint8_t *const *pointers) {
  switch (sizeOf(x.type)) {
  case 1:
    return x.type == Type::S8 ? loadElements<int8_t>(warp, x, mask, pointers)
                              : loadElements<uint8_t>(warp, x, mask, pointers);
  case 2:
    return x.type == Type::S16
               ? loadElements<int16_t>(warp, x, mask, pointers)
               : loadElements<uint16_t>(warp, x, mask, pointers);
  case 4:
    return x.type == Type::S32
               ? loadElements<int32_t>(warp, x, mask, pointers)
               : loadElements<uint32_t>(warp, x, mask, pointers);
  default:
    return loadElements<uint64_t>(warp, x, mask, pointers);
  }
}

void emulated::loadParameter(Lanes &lanes, const Instruction &x,
                             uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint8_t *pointers[kWarpSize];
  uint8_t *address =
      const_cast<uint8_t *>(warp.cta->launch->parameters) + x.immediate;
  for (uint8_t *&pointer : pointers)
    pointer = address;
  loadByType(warp, x, mask, pointers);
}

void emulated::load(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint8_t *pointers[kWarpSize];
  resolve(warp, x, x.addresses[0], mask, sizeOf(x.type) * x.count, Access::Read,
          pointers);
  loadByType(warp, x, mask, pointers);
}

template <typename T, typename R>
static void storeElement(const R *from, uint8_t *const *pointers, uint32_t mask,
                         bool isContiguous, unsigned offset) {
  if (isContiguous) {
    for (unsigned lane = 0; lane < kWarpSize; ++lane) {
      T value = T(from[lane]);
      memcpy(pointers[0] + offset + lane * sizeof(T), &value, sizeof(T));
    }
    return;
  }
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    T value = T(from[lane]);
    memcpy(pointers[lane] + offset, &value, sizeof(T));
  }
}

template <typename T>
static void storeElements(Warp &warp, const Instruction &x, uint32_t mask,
                          uint8_t *const *pointers) {
  bool isDense = x.numOperands == 1 && isContiguous(pointers, mask, sizeof(T));
  for (unsigned i = 0; i < x.numOperands; ++i) {
    const Operand &value = x.operands[i];
    if (value.kind == Operand::Wide)
      storeElement<T>(warp.wide(value), pointers, mask, isDense, i * sizeof(T));
    else
      storeElement<T>(warp.word(value), pointers, mask, isDense, i * sizeof(T));
  }
}

void emulated::store(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint8_t *pointers[kWarpSize];
  resolve(warp, x, x.addresses[0], mask, sizeOf(x.type) * x.count,
          Access::Write, pointers);
  switch (sizeOf(x.type)) {
  case 1:
    return storeElements<uint8_t>(warp, x, mask, pointers);
  case 2:
    return storeElements<uint16_t>(warp, x, mask, pointers);
  case 4:
    return storeElements<uint32_t>(warp, x, mask, pointers);
  default:
    return storeElements<uint64_t>(warp, x, mask, pointers);
  }
}

void emulated::copyLocal(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  uint64_t frame = warp.cta->launch->program.localBytes;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    uint8_t *base = warp.local + __builtin_ctz(rest) * frame;
    memmove(base + x.count, base + x.flags, x.immediate);
  }
}

void emulated::isInSpace(Lanes &lanes, const Instruction &x, uint32_t mask) {
  const uint64_t *addresses = lanes.wide(x.operands[0]);
  uint32_t result = 0;
  for (unsigned lane = 0; lane < kWarpSize; ++lane) {
    Space space = classify(addresses[lane]);
    bool isConstant =
        Space(x.flags) == Space::Constant || Space(x.flags) == Space::Param;
    result |= uint32_t(!isConstant && space == Space(x.flags)) << lane;
  }
  lanes.setPredicate(x.results[0], result, mask);
}
