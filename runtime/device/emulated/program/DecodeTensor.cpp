//===- DecodeTensor.cpp - decodes tensor cores and asynchronous copies ----===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/program/Decoder.h"

using namespace emulated;

#define EMULATED_LATER(NAME)                                                   \
  void Decoder::NAME() { fail("not supported by the emulated device"); }
EMULATED_LATER(decodeMatrixLoad)
EMULATED_LATER(decodeMatrixStore)
EMULATED_LATER(decodeMma)
EMULATED_LATER(decodeCopyAsync)
EMULATED_LATER(decodeCopyBulk)
EMULATED_LATER(decodeCopyTensor)
EMULATED_LATER(decodeMbarrier)
EMULATED_LATER(decodeWgmma)
EMULATED_LATER(decodeTcgen05)
