//===- WarpOperations.cpp - operations of the lanes of a warp together ----===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/execute/Warp.h"
#include "runtime/device/emulated/vector/Numbers.h"

#include <cstring>

using namespace emulated;

/// All lanes that the mask of members names must be here.
static void checkMembers(const Warp &warp, const Instruction &x,
                         const Operand &members, uint32_t mask) {
  uint32_t named = warp.word(members)[__builtin_ctz(mask)];
  uint32_t missing = named & warp.live & ~mask;
  if (!missing)
    return;
  char text[128];
  snprintf(text, sizeof text,
           "names lanes 0x%08x as members, of which 0x%08x are elsewhere",
           named, missing);
  warp.fail(FaultKind::Synchronisation, x, __builtin_ctz(mask), text);
}

static void storeWords(const Lanes &lanes, const Operand &result,
                       const uint32_t *values, uint32_t mask) {
  if (result.kind != Operand::Word)
    return;
  uint32_t *to = lanes.word(result);
  for (uint32_t rest = mask; rest; rest &= rest - 1)
    to[__builtin_ctz(rest)] = values[__builtin_ctz(rest)];
}

void emulated::shuffle(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  checkMembers(warp, x, x.operands[3], mask);
  const uint32_t *from = lanes.word(x.operands[0]);
  const uint32_t *selectors = lanes.word(x.operands[1]);
  const uint32_t *clamps = lanes.word(x.operands[2]);
  uint32_t values[kWarpSize], inside = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    int lane = __builtin_ctz(rest);
    int segment = clamps[lane] >> 8 & 31, clamp = clamps[lane] & 31;
    int last = (lane & segment) | (clamp & ~segment), first = lane & segment;
    int selector = selectors[lane] & 31, source;
    bool isInside;
    switch (x.flags) {
    case 0:
      source = lane - selector;
      isInside = source >= last;
      break;
    case 1:
      source = lane + selector;
      isInside = source <= last;
      break;
    case 2:
      source = lane ^ selector;
      isInside = source <= last;
      break;
    default:
      source = first | (selector & ~segment);
      isInside = source <= last;
    }
    if (!isInside)
      source = lane;
    else if (!(mask >> source & 1) && (warp.live >> source & 1))
      warp.fail(FaultKind::Synchronisation, x, lane,
                "takes the value of lane " + std::to_string(source) +
                    ", which does not take part");
    values[lane] = from[source];
    inside |= uint32_t(isInside) << lane;
  }
  storeWords(lanes, x.results[0], values, mask);
  if (x.numResults > 1 && x.results[1].kind == Operand::Predicate)
    lanes.setPredicate(x.results[1], inside, mask);
}

void emulated::vote(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  checkMembers(warp, x, x.operands[1], mask);
  uint32_t votes = lanes.predicate(x.operands[0]) & mask;
  if (x.flags == 3) {
    uint32_t values[kWarpSize];
    for (uint32_t &value : values)
      value = votes;
    return storeWords(lanes, x.results[0], values, mask);
  }
  bool result = x.flags == 0   ? votes == mask
                : x.flags == 1 ? votes != 0
                               : votes == 0 || votes == mask;
  lanes.setPredicate(x.results[0], result ? kAllLanes : 0, mask);
}

void emulated::match(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  checkMembers(warp, x, x.operands[1], mask);
  auto get = [&](unsigned lane) -> uint64_t {
    return x.operands[0].kind == Operand::Wide
               ? lanes.wide(x.operands[0])[lane]
               : lanes.word(x.operands[0])[lane];
  };
  uint32_t values[kWarpSize] = {}, isAll = 0;
  for (uint32_t rest = mask; rest; rest &= rest - 1) {
    unsigned lane = __builtin_ctz(rest);
    for (uint32_t others = mask; others; others &= others - 1) {
      unsigned other = __builtin_ctz(others);
      values[lane] |= uint32_t(get(other) == get(lane)) << other;
    }
    if (values[lane] == mask)
      isAll |= 1u << lane;
    else if (x.flags)
      values[lane] = 0;
  }
  storeWords(lanes, x.results[0], values, mask);
  if (x.numResults > 1 && x.results[1].kind == Operand::Predicate)
    lanes.setPredicate(x.results[1], isAll, mask);
}

static uint32_t reduceFloat(const Instruction &x, uint32_t a, uint32_t b) {
  float p = bitCast<float>(a), q = bitCast<float>(b);
  if (p != p || q != q)
    return x.flags & 16 ? 0x7fffffffu : p != p ? b : a;
  return ((x.flags & 15) == 1) == (q < p) ? b : a;
}

static uint32_t reducePair(const Instruction &x, uint32_t a, uint32_t b) {
  if (x.type == Type::F32)
    return reduceFloat(x, a, b);
  bool isLess = isSigned(x.type) ? int32_t(b) < int32_t(a) : b < a;
  switch (x.flags & 15) {
  case 0:
    return a + b;
  case 1:
    return isLess ? b : a;
  case 2:
    return isLess ? a : b;
  case 3:
    return a & b;
  case 4:
    return a | b;
  default:
    return a ^ b;
  }
}

void emulated::reduce(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  checkMembers(warp, x, x.operands[1], mask);
  const uint32_t *from = lanes.word(x.operands[0]);
  uint32_t clear = x.flags & 32 ? 0x7fffffffu : ~0u;
  uint32_t result = from[__builtin_ctz(mask)] & clear;
  for (uint32_t rest = mask & (mask - 1); rest; rest &= rest - 1)
    result = reducePair(x, result, from[__builtin_ctz(rest)] & clear);
  uint32_t values[kWarpSize];
  for (uint32_t &value : values)
    value = result;
  storeWords(lanes, x.results[0], values, mask);
}

void emulated::readActiveMask(Lanes &lanes, const Instruction &x,
                              uint32_t mask) {
  uint32_t values[kWarpSize];
  for (uint32_t &value : values)
    value = mask;
  storeWords(lanes, x.results[0], values, mask);
}

void emulated::elect(Lanes &lanes, const Instruction &x, uint32_t mask) {
  Warp &warp = static_cast<Warp &>(lanes);
  checkMembers(warp, x, x.operands[0], mask);
  uint32_t values[kWarpSize];
  for (uint32_t &value : values)
    value = __builtin_ctz(mask);
  storeWords(lanes, x.results[0], values, mask);
  lanes.setPredicate(x.results[1], mask & -mask, mask);
}

void emulated::trap(Lanes &lanes, const Instruction &x, uint32_t mask) {
  static_cast<Warp &>(lanes).fail(FaultKind::Trap, x, __builtin_ctz(mask),
                                  "stops the kernel");
}
