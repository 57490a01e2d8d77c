//===- InstructionSetsTest.cpp - what this processor supports -------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cpu/InstructionSets.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

using namespace moert;

/// True if the system lists all of these flags of the processor.
static bool hasFlags(const std::string &wanted) {
  std::ifstream stream("/proc/cpuinfo");
  std::string line;
  while (std::getline(stream, line))
    if (line.rfind("flags", 0) == 0)
      break;
  std::istringstream flags(wanted);
  for (std::string flag; flags >> flag;)
    if ((line + " ").find(" " + flag + " ") == std::string::npos)
      return false;
  return true;
}

// Tests that levels are in order and that others are unknown.
TEST(InstructionSetsTest, Order) {
  EXPECT_LT(getLevelOrder("x86-64"), getLevelOrder("x86-64-v2"));
  EXPECT_LT(getLevelOrder("x86-64-v3"), getLevelOrder("x86-64-v4"));
  EXPECT_LT(getLevelOrder("x86-64-v4"), getLevelOrder("avx512bf16"));
  EXPECT_LT(getLevelOrder("avx512bf16"), getLevelOrder("amx"));
  EXPECT_EQ(getLevelOrder("x86-64-v9"), -1);
  EXPECT_FALSE(isSupported("x86-64-v9"));
  EXPECT_FALSE(isSupported(""));
}

// Tests the answers against what the system says about the processor.
TEST(InstructionSetsTest, AgreesWithTheSystem) {
  EXPECT_TRUE(isSupported("x86-64"));
  bool v3 = hasFlags("avx avx2 bmi1 bmi2 f16c fma abm movbe xsave");
  bool v4 = v3 && hasFlags("avx512f avx512bw avx512cd avx512dq avx512vl");
  EXPECT_EQ(isSupported("x86-64-v3"), v3);
  EXPECT_EQ(isSupported("x86-64-v4"), v4);
  bool bf16 = v4 && hasFlags("avx512_bf16 avx512_vnni avx512vbmi");
  EXPECT_EQ(isSupported("avx512bf16"), bf16);
  EXPECT_EQ(isSupported("amx"), bf16 && hasFlags("amx_tile"));
}
