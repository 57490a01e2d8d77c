//===- MachineLimits.h - how fast this machine computes and reads ---------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#ifndef COMPILER_TOOLS_MOEC_MACHINELIMITS_H
#define COMPILER_TOOLS_MOEC_MACHINELIMITS_H

#include <cstdint>
#include <memory>
#include <string>

/// Measures the limits that a run is compared with, on as many threads as the
/// run uses: one short burst after the other, so that each sample of a
/// benchmark has its own next to it, whatever else the machine does. Rates are
/// those of the instructions that code of a level has.
class MachineLimits {
public:
  MachineLimits(unsigned threads, std::string isa);
  ~MachineLimits();

  /// Floating-point operations (f32 multiply-adds, two each) per nanosecond.
  double measureGflops();
  /// The same for products of bf16 that add up in f32; 0 if the level has no
  /// instruction for them.
  double measureBF16Gflops();
  /// The same for products of bytes that add up in i32.
  double measureByteGops();
  /// Bytes per nanosecond that come from memory, read in order from huge pages.
  double measureGbps();

private:
  unsigned threads;
  std::string isa;
  float *buffer;
  uint64_t window = 0;
};

#endif // COMPILER_TOOLS_MOEC_MACHINELIMITS_H
