//===- DecodeAsync.cpp - decodes asynchronous copies and their barriers ---===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/execute/Handlers.h"
#include "runtime/device/emulated/execute/TensorHandlers.h"
#include "runtime/device/emulated/program/Decoder.h"

using namespace emulated;

void Decoder::decodeCopyAsync() {
  if (!has("async"))
    fail("the emulated device does not know this instruction");
  if (has("bulk"))
    return has("tensor") ? decodeCopyTensor() : decodeCopyBulk();
  instruction.type = Type::B32;
  if (has("commit_group"))
    return finish(copyAsyncCommit);
  if (has("wait_group")) {
    instruction.immediate = toImmediate(getOperand(0));
    return finish(copyAsyncWait);
  }
  if (has("wait_all")) {
    instruction.target = -2;
    return finish(copyAsyncWait);
  }
  if (has("mbarrier")) {
    has("arrive");
    instruction.flags = has("noinc");
    Space space = getSpace();
    instruction.type = Type::B64;
    instruction.addresses[0] = toAddress(getOperand(0), space);
    return finish(copyAsyncArrive);
  }
  skipCacheHints();
  has("cache_hint");
  has("global"), has("shared"), getPrefixed("shared::");
  instruction.addresses[0] = toAddress(getOperand(0), Space::Shared);
  instruction.addresses[1] = toAddress(getOperand(1), Space::Global);
  instruction.count = toImmediate(getOperand(2));
  if (instruction.count != 4 && instruction.count != 8 &&
      instruction.count != 16)
    fail("expected a size of 4, 8 or 16 bytes");
  if (getNumOperands() > 3) {
    const ptx::Operand &limit = getOperand(3);
    Operand value = limit.kind == ptx::Operand::Register
                        ? toRegister(limit)
                        : toValue(limit, Type::B32);
    // A cache policy has 64 bits and changes nothing.
    if (value.kind != Operand::Wide)
      addOperand(value);
  }
  finish(copyAsync);
}

void Decoder::decodeMbarrier() {
  skipCacheHints();
  skipScopes();
  Space space = getSpace();
  if (has("init")) {
    instruction.addresses[0] = toAddress(getOperand(0), space);
    addOperand(toValue(getOperand(1), Type::B32));
    return finish(mbarrierInit);
  }
  if (has("inval")) {
    instruction.addresses[0] = toAddress(getOperand(0), space);
    return finish(mbarrierInvalidate);
  }
  if (has("test_wait") || has("try_wait")) {
    addResult(toPredicate(getOperand(0)));
    instruction.addresses[0] = toAddress(getOperand(1), space);
    instruction.flags = has("parity") ? kMbarrierParity : 0;
    addOperand(
        toValue(getOperand(2), instruction.flags ? Type::B32 : Type::B64));
    // A fourth operand limits the time: it may pass at any moment.
    return finish(mbarrierWait, Control::Synchronise);
  }
  instruction.flags = 0;
  if (has("arrive_drop"))
    instruction.flags |= kMbarrierArrives | kMbarrierDrops;
  if (has("arrive"))
    instruction.flags |= kMbarrierArrives;
  if (has("expect_tx"))
    instruction.flags |= kMbarrierExpects;
  if (has("complete_tx"))
    instruction.flags |= kMbarrierCompletes;
  has("noComplete");
  if (!instruction.flags)
    fail("the emulated device does not know this instruction");
  unsigned next = 0;
  if (getOperand(0).kind != ptx::Operand::Address)
    addResult(toRegister(getOperand(next++)));
  instruction.addresses[0] = toAddress(getOperand(next++), space);
  if (next < getNumOperands())
    addOperand(toValue(getOperand(next), Type::B32));
  finish(mbarrierArrive);
}
