//===- InstructionSets.cpp - what this processor supports -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cpu/InstructionSets.h"

#include <cpuid.h>
#include <cstdint>
#include <sys/syscall.h>
#include <unistd.h>

using namespace moert;

namespace {
struct Features {
  uint32_t leaf1c = 0;
  uint32_t leaf7b = 0, leaf7c = 0;
  /// The second part of leaf 7.
  uint32_t leaf7more = 0;
  uint32_t extended1c = 0;
  /// The register sets that the system saves.
  uint64_t saved = 0;
};
} // namespace

static const char *const kLevels[] = {"x86-64",    "x86-64-v2",  "x86-64-v3",
                                      "x86-64-v4", "avx512bf16", "amx"};

static Features readFeatures() {
  Features features;
  uint32_t a, b, c, d;
  if (__get_cpuid(1, &a, &b, &c, &d))
    features.leaf1c = c;
  if (__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
    features.leaf7b = b;
    features.leaf7c = c;
    if (a >= 1 && __get_cpuid_count(7, 1, &a, &b, &c, &d))
      features.leaf7more = a;
  }
  if (__get_cpuid(0x80000001, &a, &b, &c, &d))
    features.extended1c = c;
  if (features.leaf1c & bit_OSXSAVE) {
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    features.saved = uint64_t(high) << 32 | low;
  }
  return features;
}

/// Asks for matrix registers, which Linux keeps from processes that do not.
/// All processors with such registers multiply bf16 with them.
/// Source: the Linux kernel's Documentation/arch/x86/xstate.rst.
static bool requestMatrices() {
  constexpr int getSupported = 0x1021, request = 0x1023, tileData = 18;
  uint64_t supported = 0;
  return syscall(SYS_arch_prctl, getSupported, &supported) == 0 &&
         supported >> tileData & 1 &&
         syscall(SYS_arch_prctl, request, tileData) == 0;
}

/// The number of the highest level.
static int readLevel() {
  constexpr uint32_t lahf = 1 << 0, lzcnt = 1 << 5;
  constexpr uint32_t v2 = bit_SSE3 | bit_SSSE3 | bit_CMPXCHG16B | bit_SSE4_1 |
                          bit_SSE4_2 | bit_POPCNT;
  constexpr uint32_t v3 =
      bit_FMA | bit_MOVBE | bit_OSXSAVE | bit_AVX | bit_F16C;
  constexpr uint32_t v3leaf7 = bit_BMI | bit_AVX2 | bit_BMI2;
  constexpr uint32_t v4leaf7 =
      bit_AVX512F | bit_AVX512DQ | bit_AVX512CD | bit_AVX512BW | bit_AVX512VL;
  constexpr uint64_t savedYmm = 0x6, savedZmm = 0xe6;

  Features features = readFeatures();
  auto has = [](uint64_t present, uint64_t wanted) {
    return (present & wanted) == wanted;
  };
  if (!has(features.leaf1c, v2) || !has(features.extended1c, lahf))
    return 0;
  if (!has(features.leaf1c, v3) || !has(features.leaf7b, v3leaf7) ||
      !has(features.extended1c, lzcnt) || !has(features.saved, savedYmm))
    return 1;
  if (!has(features.leaf7b, v4leaf7) || !has(features.saved, savedZmm))
    return 2;
  if (!has(features.leaf7c, bit_AVX512VNNI | bit_AVX512VBMI) ||
      !has(features.leaf7more, bit_AVX512BF16))
    return 3;
  return requestMatrices() ? 5 : 4;
}

int moert::getLevelOrder(const std::string &isa) {
  for (const char *const &level : kLevels)
    if (isa == level)
      return &level - kLevels;
  return -1;
}

bool moert::isSupported(const std::string &isa) {
  static const int supported = readLevel();
  int level = getLevelOrder(isa);
  return level >= 0 && level <= supported;
}
