//===- InterfaceTest.cpp - the driver's interface as cuda.h has it --------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include <gtest/gtest.h>

// Compared where the CUDA Toolkit is installed; nothing else needs it.
#if __has_include(<cuda.h>)
#include <cuda.h>

#include <cstddef>

#define EMULATED_VALUE(NAME, NUMBER)                                           \
  static_assert(NAME == NUMBER, "differs from the emulated device's");
#include "runtime/device/emulated/driver/Values.def"
#undef EMULATED_VALUE

static_assert(CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES == 8 &&
                  CU_JIT_ERROR_LOG_BUFFER == 5 &&
                  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES == 6 &&
                  CU_STREAM_NON_BLOCKING == 1,
              "numbers that the entries take");
static_assert(CU_DEVICE_ATTRIBUTE_WARP_SIZE == 10 &&
                  CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT == 16 &&
                  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR == 75 &&
                  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR == 76 &&
                  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN == 97 &&
                  CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH == 120,
              "numbers of attributes of the device");
static_assert(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 == 9 &&
                  CU_TENSOR_MAP_DATA_TYPE_FLOAT16 == 6 &&
                  CU_TENSOR_MAP_SWIZZLE_128B == 3 && sizeof(CUtensorMap) == 128,
              "descriptors of tensors");
static_assert(sizeof(CUlaunchAttribute) == 72 && sizeof(CUlaunchConfig) == 56 &&
                  offsetof(CUlaunchConfig, hStream) == 32 &&
                  offsetof(CUlaunchAttribute, value) == 8,
              "layouts of launches");

TEST(Interface, agreesWithTheToolkit) {}
#else
TEST(Interface, agreesWithTheToolkit) {
  GTEST_SKIP() << "the CUDA Toolkit is not installed";
}
#endif
