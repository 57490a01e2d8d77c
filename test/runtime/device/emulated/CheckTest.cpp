//===- CheckTest.cpp - errors that the checked mode finds -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/device/emulated/EmulatedDevice.h"

using namespace emulated;

namespace {

class Checks : public EmulatedDevice {
protected:
  void SetUp() override {
    EmulatedDevice::SetUp();
    check();
  }

  /// The kernel's body; %rd1 holds the argument, %r1 the thread.
  CUfunction makeKernel(const std::string &body, const char *target = "sm_80") {
    return load(".visible .entry kernel(.param .u64 place) {\n"
                "  .reg .b32 %r<16>; .reg .b64 %rd<8>; .reg .pred %p<8>;\n"
                "  .shared .align 16 .b8 tile[1024];\n"
                "  .shared .align 8 .b64 bar[2];\n"
                "  ld.param.u64 %rd1, [place];\n"
                "  mov.u32 %r1, %tid.x;\n" +
                    body + "\n  ret;\n}\n",
                "kernel", target);
  }

  void expectFault(CUresult result, CUresult expected, const char *text) {
    EXPECT_EQ(result, expected);
    EXPECT_NE(report().find(text), std::string::npos) << report();
    // An error stays until the device is reset.
    EXPECT_EQ(cuCtxSynchronize(), expected);
    Device::get().stickyError = CUDA_SUCCESS;
  }
};

TEST_F(Checks, anAccessBeyondAnAllocation) {
  CUfunction kernel = makeKernel("mul.wide.u32 %rd2, %r1, 4;\n"
                                 "add.s64 %rd3, %rd1, %rd2;\n"
                                 "st.global.u32 [%rd3], %r1;");
  Buffer<uint32_t> place(std::vector<uint32_t>(40));
  expectFault(run(kernel, {1, 64}, place.address), CUDA_ERROR_ILLEGAL_ADDRESS,
              "CTA (0, 0, 0), warp 1, lane 8 (thread 40, 0, 0) writes 4 bytes "
              "of global memory at 0x");
  EXPECT_NE(report().find("PTX line 12, 'st.global.u32 [%rd3], %r1;'"),
            std::string::npos)
      << report();
  EXPECT_NE(report().find("0 bytes beyond the end of an allocation of 160"),
            std::string::npos)
      << report();
}

TEST_F(Checks, anAccessToFreedMemory) {
  CUfunction kernel = makeKernel("st.global.u32 [%rd1], %r1;");
  CUdeviceptr address;
  ASSERT_EQ(cuMemAlloc_v2(&address, 64), CUDA_SUCCESS);
  ASSERT_EQ(cuMemFree_v2(address), CUDA_SUCCESS);
  expectFault(run(kernel, {1, 1}, address), CUDA_ERROR_ILLEGAL_ADDRESS,
              "inside an allocation of 64 bytes that was freed");
}

TEST_F(Checks, aMisalignedAccess) {
  CUfunction kernel = makeKernel("ld.global.u32 %r2, [%rd1+2];");
  Buffer<uint32_t> place(std::vector<uint32_t>(4));
  expectFault(run(kernel, {1, 1}, place.address), CUDA_ERROR_MISALIGNED_ADDRESS,
              "is not a multiple of the size");
}

TEST_F(Checks, anAccessBeyondSharedMemory) {
  CUfunction kernel = makeKernel("mov.u32 %r2, tile;\n"
                                 "ld.shared.u32 %r3, [%r2+1040];");
  Buffer<uint32_t> place(std::vector<uint32_t>(4));
  expectFault(run(kernel, {1, 1}, place.address), CUDA_ERROR_ILLEGAL_ADDRESS,
              "reads 4 bytes of shared memory");
}

TEST_F(Checks, aBarrierInADivergedWarp) {
  CUfunction kernel = makeKernel("setp.lt.u32 %p1, %r1, 16;\n"
                                 "@%p1 bar.sync 0;");
  Buffer<uint32_t> place(std::vector<uint32_t>(4));
  expectFault(run(kernel, {1, 32}, place.address), CUDA_ERROR_LAUNCH_FAILED,
              "is executed by some lanes of a diverged warp");
}

TEST_F(Checks, aDeadlockNamesWhoWaitsWhere) {
  CUfunction kernel = makeKernel("setp.lt.u32 %p1, %r1, 32;\n"
                                 "@%p1 bra first;\n"
                                 "bar.sync 1, 96;\n"
                                 "bra.uni end;\n"
                                 "first: bar.sync 2, 64;\n"
                                 "end:");
  Buffer<uint32_t> place(std::vector<uint32_t>(4));
  expectFault(run(kernel, {1, 64}, place.address), CUDA_ERROR_LAUNCH_TIMEOUT,
              "deadlock");
  EXPECT_NE(report().find("warp 0, lanes 0xffffffff waits at a barrier 2, PTX "
                          "line 14"),
            std::string::npos)
      << report();
  EXPECT_NE(report().find("warp 1, lanes 0xffffffff waits at a barrier 1, PTX "
                          "line 12"),
            std::string::npos)
      << report();
}

TEST_F(Checks, aShuffleWithoutAllItsLanes) {
  CUfunction kernel =
      makeKernel("setp.lt.u32 %p1, %r1, 16;\n"
                 "@%p1 shfl.sync.bfly.b32 %r2, %r1, 1, 31, -1;");
  Buffer<uint32_t> place(std::vector<uint32_t>(4));
  expectFault(run(kernel, {1, 32}, place.address), CUDA_ERROR_LAUNCH_FAILED,
              "names lanes 0xffffffff as members, of which 0xffff0000");
}

TEST_F(Checks, aLoopWithoutEndStopsAtTheLimit) {
  Device::get().options.instructionLimit = 100000;
  CUfunction kernel = makeKernel("again: bra.uni again;");
  Buffer<uint32_t> place(std::vector<uint32_t>(4));
  expectFault(run(kernel, {1, 32}, place.address), CUDA_ERROR_LAUNCH_TIMEOUT,
              "has executed more than 100000 warp instructions");
}

} // namespace
