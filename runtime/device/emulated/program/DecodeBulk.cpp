//===- DecodeBulk.cpp - decodes bulk copies -------------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/execute/TensorHandlers.h"
#include "runtime/device/emulated/program/Decoder.h"

using namespace emulated;

/// Whether the target is global memory: its space comes first.
static bool isStore(const ptx::Instruction &statement) {
  for (const std::string &part : statement.opcode)
    if (part == "global" || part.compare(0, 6, "shared") == 0)
      return part == "global";
  return false;
}

static void skipBulkModifiers(const std::function<bool(const char *)> &has) {
  for (const char *name : {"global", "shared", "shared::cta", "shared::cluster",
                           "tile", "mbarrier::complete_tx::bytes", "bulk_group",
                           "L2::cache_hint", "cta_group::1"})
    has(name);
}

void Decoder::decodeCopyBulk() {
  instruction.type = Type::B32;
  if (has("prefetch")) {
    isUsed.assign(isUsed.size(), true);
    return finish(doNothing);
  }
  if (has("commit_group"))
    return finish(copyBulkCommit);
  if (has("wait_group")) {
    has("read");
    instruction.immediate = toImmediate(getOperand(0));
    return finish(copyBulkWait);
  }
  bool isToGlobal = isStore(*statement);
  bool isFromShared = !isToGlobal && !has("global");
  skipBulkModifiers([&](const char *name) { return has(name); });
  instruction.flags = has("multicast::cluster") ? kBulkMulticast : 0;
  addOperand(toValue(getOperand(2), Type::B32));
  if (isToGlobal) {
    instruction.addresses[0] = toAddress(getOperand(0), Space::Global);
    instruction.addresses[1] = toAddress(getOperand(1), Space::Shared);
    return finish(copyBulkStore);
  }
  instruction.addresses[0] = toAddress(getOperand(0), Space::Shared);
  instruction.addresses[1] =
      toAddress(getOperand(1), isFromShared ? Space::Shared : Space::Global);
  instruction.addresses[2] = toAddress(getOperand(3), Space::Shared);
  if (instruction.flags)
    addOperand(toValue(getOperand(4), Type::B16));
  finish(copyBulkLoad);
}

void Decoder::decodeCopyTensor() {
  instruction.type = Type::B32;
  if (has("prefetch")) {
    isUsed.assign(isUsed.size(), true);
    return finish(doNothing);
  }
  bool isToGlobal = isStore(*statement);
  for (unsigned rank = 1; rank <= 5; ++rank)
    if (has((std::to_string(rank) + "d").c_str()))
      instruction.immediate = rank;
  skipBulkModifiers([&](const char *name) { return has(name); });
  instruction.flags = has("multicast::cluster") ? kBulkMulticast : 0;
  const ptx::Operand &tensor = getOperand(isToGlobal ? 0 : 1);
  instruction.addresses[1] = toAddress(tensor, Space::Generic);
  if (tensor.parts.size() != 2)
    fail("expected a descriptor and coordinates in brackets");
  for (const ptx::Operand *part : getParts(tensor.parts[1]))
    addOperand(toValue(*part, Type::B32));
  if (operands.size() != uint64_t(instruction.immediate))
    fail("expected " + std::to_string(instruction.immediate) + " coordinates");
  if (isToGlobal) {
    instruction.addresses[0] = toAddress(getOperand(1), Space::Shared);
    return finish(copyTensorStore);
  }
  instruction.addresses[0] = toAddress(getOperand(0), Space::Shared);
  instruction.addresses[2] = toAddress(getOperand(2), Space::Shared);
  if (instruction.flags)
    addOperand(toValue(getOperand(3), Type::B16));
  finish(copyTensorLoad);
}
