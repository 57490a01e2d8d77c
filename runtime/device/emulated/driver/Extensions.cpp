//===- Extensions.cpp - additions to the driver's entries -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/emulated/driver/Device.h"

using namespace emulated;

/// What the last error was, in words: an addition to the driver's interface.
/// The text lives until the next error of this thread's caller.
extern "C" __attribute__((visibility("default"))) const char *
moeEmulatedGetLastReport() {
  static thread_local std::string copy;
  Entry entry;
  copy = entry.device.report;
  return copy.c_str();
}
