//===- DeviceTest.cpp - tests of what needs no device ---------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "runtime/device/cuda/Device.h"

#include <gtest/gtest.h>

#include <algorithm>

#ifdef MOERT_TEST_CUDA_HEADER
#include MOERT_TEST_CUDA_HEADER
#endif

using namespace moert::cuda;

static bool runsOn(const std::string &name, int major, int minor) {
  Architecture architecture;
  return Architecture::parse(name, architecture) &&
         architecture.runsOn(major, minor);
}

TEST(Architecture, BaselineCodeRunsOnLaterDevices) {
  EXPECT_TRUE(runsOn("sm_80", 8, 0));
  EXPECT_TRUE(runsOn("sm_80", 8, 9));
  EXPECT_TRUE(runsOn("sm_80", 10, 0));
  EXPECT_FALSE(runsOn("sm_80", 7, 5));
}

TEST(Architecture, CodeForOneArchitectureRunsThereOnly) {
  EXPECT_TRUE(runsOn("sm_90a", 9, 0));
  EXPECT_FALSE(runsOn("sm_90a", 10, 0));
  EXPECT_TRUE(runsOn("sm_100a", 10, 0));
  EXPECT_FALSE(runsOn("sm_100a", 9, 0));
}

TEST(Architecture, NewerCodeIsBetter) {
  Architecture old, recent;
  ASSERT_TRUE(Architecture::parse("sm_80", old));
  ASSERT_TRUE(Architecture::parse("sm_100a", recent));
  EXPECT_TRUE(recent.isBetterThan(old));
  EXPECT_FALSE(old.isBetterThan(recent));
  EXPECT_FALSE(old.isBetterThan(old));
}

TEST(Architecture, OtherNamesAreNone) {
  Architecture architecture;
  for (const char *name : {"x86-64-v3", "sm_", "sm_90b", "sm_80 ", "sm_123456"})
    EXPECT_FALSE(Architecture::parse(name, architecture)) << name;
}

#ifdef MOERT_TEST_CUDA_HEADER
template <typename> struct Sizes;
template <typename R, typename... Arguments> struct Sizes<R (*)(Arguments...)> {
  static std::vector<size_t> get() { return {sizeof(R), sizeof(Arguments)...}; }
};

TEST(Driver, SignaturesHaveTheSizesOfTheHeader) {
#define X(name, parameters)                                                    \
  EXPECT_EQ(Sizes<decltype(Driver::name)>::get(),                              \
            Sizes<decltype(&::name)>::get())                                   \
      << #name;
  MOERT_CUDA_ENTRIES(X)
#undef X
}

TEST(Driver, NumbersAreThoseOfTheHeader) {
  EXPECT_EQ(int(CUDA_SUCCESS), int(kSuccess));
  EXPECT_EQ(int(CUDA_ERROR_INVALID_VALUE), int(kErrorInvalidValue));
  EXPECT_EQ(int(CUDA_ERROR_OUT_OF_MEMORY), int(kErrorOutOfMemory));
  EXPECT_EQ(int(CUDA_ERROR_NO_DEVICE), int(kErrorNoDevice));
  EXPECT_EQ(int(CUDA_ERROR_INVALID_PTX), int(kErrorInvalidPTX));
  EXPECT_EQ(int(CUDA_ERROR_UNSUPPORTED_PTX_VERSION),
            int(kErrorUnsupportedPTXVersion));
  EXPECT_EQ(int(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
            int(kAttributeMajor));
  EXPECT_EQ(int(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
            int(kAttributeMinor));
  EXPECT_EQ(int(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES),
            int(kMaxDynamicSharedBytes));
  EXPECT_EQ(int(CU_JIT_ERROR_LOG_BUFFER), int(kJITErrorBuffer));
  EXPECT_EQ(int(CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES), int(kJITErrorBufferBytes));
}
#endif
