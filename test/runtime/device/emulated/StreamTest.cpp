//===- StreamTest.cpp - the order of work on the device -------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/device/emulated/EmulatedDevice.h"

using namespace emulated;

namespace {

const char *const kIncrement = R"(
.visible .entry increment(.param .u64 place, .param .u32 amount) {
  .reg .b32 %r<4>; .reg .b64 %rd<2>;
  ld.param.u64 %rd1, [place];
  ld.param.u32 %r1, [amount];
  ld.global.u32 %r2, [%rd1];
  add.s32 %r2, %r2, %r1;
  st.global.u32 [%rd1], %r2;
  ret;
})";

class Streams : public EmulatedDevice {
protected:
  void SetUp() override {
    EmulatedDevice::SetUp();
    check();
    ASSERT_EQ(cuStreamCreate(&first, 1), CUDA_SUCCESS);
    ASSERT_EQ(cuStreamCreate(&second, 1), CUDA_SUCCESS);
    ASSERT_EQ(cuEventCreate(&event, 0), CUDA_SUCCESS);
    ASSERT_EQ(cuMemHostAlloc(&pinned, 64, 0), CUDA_SUCCESS);
    result = static_cast<uint32_t *>(pinned);
    increment = load(kIncrement, "increment");
  }
  void TearDown() override {
    cuStreamDestroy_v2(first);
    cuStreamDestroy_v2(second);
    cuEventDestroy_v2(event);
    cuMemFreeHost(pinned);
    EmulatedDevice::TearDown();
  }

  CUstream first = nullptr, second = nullptr;
  CUevent event = nullptr;
  void *pinned = nullptr;
  uint32_t *result = nullptr;
  CUfunction increment = nullptr;
};

TEST_F(Streams, aCopyWithoutAWaitSeesTheOldValue) {
  Buffer<uint32_t> place({5});
  ASSERT_EQ(launchIn(first, increment, {1, 1}, place.address, 1), CUDA_SUCCESS);
  ASSERT_EQ(cuMemcpyDtoHAsync_v2(result, place.address, 4, second),
            CUDA_SUCCESS);
  ASSERT_EQ(cuStreamSynchronize(second), CUDA_SUCCESS);
  EXPECT_EQ(*result, 5u);
  ASSERT_EQ(cuStreamSynchronize(first), CUDA_SUCCESS);
  EXPECT_EQ(place.read()[0], 6u);
}

TEST_F(Streams, anEventOrdersTwoStreams) {
  Buffer<uint32_t> place({5});
  ASSERT_EQ(launchIn(first, increment, {1, 1}, place.address, 1), CUDA_SUCCESS);
  ASSERT_EQ(cuEventRecord(event, first), CUDA_SUCCESS);
  ASSERT_EQ(launchIn(first, increment, {1, 1}, place.address, 10),
            CUDA_SUCCESS);
  ASSERT_EQ(cuStreamWaitEvent(second, event, 0), CUDA_SUCCESS);
  ASSERT_EQ(cuMemcpyDtoHAsync_v2(result, place.address, 4, second),
            CUDA_SUCCESS);
  ASSERT_EQ(cuStreamSynchronize(second), CUDA_SUCCESS);
  // What comes after the event has not run.
  EXPECT_EQ(*result, 6u);
}

TEST_F(Streams, aHostBufferThatChangesBeforeTheCopyRuns) {
  Buffer<uint32_t> place({0});
  *result = 1;
  ASSERT_EQ(cuMemcpyHtoDAsync_v2(place.address, result, 4, first),
            CUDA_SUCCESS);
  *result = 2;
  ASSERT_EQ(cuStreamSynchronize(first), CUDA_SUCCESS);
  EXPECT_EQ(place.read()[0], 2u);
}

TEST_F(Streams, theDefaultStreamWaitsForBlockingStreams) {
  CUstream blocking = nullptr;
  ASSERT_EQ(cuStreamCreate(&blocking, 0), CUDA_SUCCESS);
  Buffer<uint32_t> place({5});
  ASSERT_EQ(launchIn(blocking, increment, {1, 1}, place.address, 1),
            CUDA_SUCCESS);
  EXPECT_EQ(place.read()[0], 6u);
  cuStreamDestroy_v2(blocking);
}

TEST_F(Streams, aCapturedGraphRunsEachTime) {
  Buffer<uint32_t> place({0});
  CUgraph graph = nullptr;
  CUgraphExec executable = nullptr;
  ASSERT_EQ(cuStreamBeginCapture_v2(first, 0), CUDA_SUCCESS);
  ASSERT_EQ(launchIn(first, increment, {1, 1}, place.address, 1), CUDA_SUCCESS);
  ASSERT_EQ(cuEventRecord(event, first), CUDA_SUCCESS);
  ASSERT_EQ(cuStreamWaitEvent(second, event, 0), CUDA_SUCCESS);
  ASSERT_EQ(launchIn(second, increment, {1, 1}, place.address, 10),
            CUDA_SUCCESS);
  ASSERT_EQ(cuEventRecord(event, second), CUDA_SUCCESS);
  ASSERT_EQ(cuStreamWaitEvent(first, event, 0), CUDA_SUCCESS);
  ASSERT_EQ(cuStreamEndCapture(first, &graph), CUDA_SUCCESS);
  EXPECT_EQ(place.read()[0], 0u);
  ASSERT_EQ(cuGraphInstantiateWithFlags(&executable, graph, 0), CUDA_SUCCESS);
  ASSERT_EQ(cuGraphDestroy(graph), CUDA_SUCCESS);
  for (unsigned i = 1; i <= 3; ++i) {
    ASSERT_EQ(cuGraphLaunch(executable, first), CUDA_SUCCESS);
    ASSERT_EQ(cuStreamSynchronize(first), CUDA_SUCCESS);
    EXPECT_EQ(place.read()[0], 11 * i);
  }
  ASSERT_EQ(cuGraphExecDestroy(executable), CUDA_SUCCESS);
}

TEST_F(Streams, aCaptureWithAStreamThatIsNotJoinedFails) {
  Buffer<uint32_t> place({0});
  CUgraph graph = nullptr;
  ASSERT_EQ(cuStreamBeginCapture_v2(first, 0), CUDA_SUCCESS);
  ASSERT_EQ(cuEventRecord(event, first), CUDA_SUCCESS);
  ASSERT_EQ(cuStreamWaitEvent(second, event, 0), CUDA_SUCCESS);
  ASSERT_EQ(launchIn(second, increment, {1, 1}, place.address, 10),
            CUDA_SUCCESS);
  EXPECT_EQ(cuStreamEndCapture(first, &graph),
            CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
}

TEST_F(Streams, aLaunchThatTheDeviceCannotRun) {
  Buffer<uint32_t> place({0});
  EXPECT_EQ(launchIn(first, increment, {1, 2048}, place.address, 1),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_NE(report().find("at most 1024 threads in a block, got 2048"),
            std::string::npos)
      << report();
  EXPECT_EQ(launchIn(first, increment, {1, 32, 50000}, place.address, 1),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_NE(report().find("dynamic shared memory"), std::string::npos)
      << report();
}

} // namespace
