//===- RaceTest.cpp - accesses that nothing orders ------------------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/device/emulated/EmulatedDevice.h"

using namespace emulated;

namespace {

class Races : public EmulatedDevice {
protected:
  void SetUp() override {
    EmulatedDevice::SetUp();
    check();
  }

  /// Runs a kernel body; %rd1 holds the argument, %r1 the thread, %r2 the
  /// address of its word of `tile`, %r3 that of the thread `n - 1 - %tid.x`.
  CUresult runBody(const std::string &body, Shape shape) {
    CUfunction kernel =
        load(".visible .entry kernel(.param .u64 place) {\n"
             "  .reg .b32 %r<16>; .reg .b64 %rd<8>; .reg .pred %p<8>;\n"
             "  .shared .align 128 .b8 tile[4096];\n"
             "  .shared .align 8 .b64 bar;\n"
             "  ld.param.u64 %rd1, [place];\n"
             "  mov.u32 %r1, %tid.x;\n"
             "  mov.u32 %r4, tile;\n"
             "  shl.b32 %r2, %r1, 2;\n"
             "  add.s32 %r2, %r2, %r4;\n"
             "  mov.u32 %r5, %ntid.x;\n"
             "  sub.s32 %r3, %r5, %r1;\n"
             "  shl.b32 %r3, %r3, 2;\n"
             "  add.s32 %r3, %r3, %r4;\n"
             "  sub.s32 %r3, %r3, 4;\n" +
                 body + "\n  ret;\n}\n",
             "kernel", "sm_90");
    Buffer<uint32_t> place(std::vector<uint32_t>(4096));
    CUresult result = run(kernel, shape, place.address);
    Device::get().stickyError = CUDA_SUCCESS;
    return result;
  }

  void expectRace(const std::string &body, Shape shape, const char *text) {
    EXPECT_EQ(runBody(body, shape), CUDA_ERROR_LAUNCH_FAILED);
    EXPECT_NE(report().find(text), std::string::npos) << report();
  }
  void expectNone(const std::string &body, Shape shape) {
    EXPECT_EQ(runBody(body, shape), CUDA_SUCCESS) << report();
  }
};

TEST_F(Races, aReadWithoutABarrierAfterTheWrite) {
  expectRace("st.shared.u32 [%r2], %r1;\nld.shared.u32 %r6, [%r3];\n"
             "st.shared.u32 [%r2], %r6;",
             {1, 64}, "shared memory at");
  expectNone(
      "st.shared.u32 [%r2], %r1;\nbar.sync 0;\nld.shared.u32 %r6, [%r3];",
      {1, 64});
}

TEST_F(Races, aWriteWithoutABarrierAfterTheRead) {
  const std::string body = "st.shared.u32 [%r2], %r1;\nbar.sync 0;\n"
                           "ld.shared.u32 %r6, [%r3];\n";
  // Which of the two comes second depends on the schedule.
  expectRace(body + "st.shared.u32 [%r2], 0;", {1, 64},
             ", not ordered after the ");
  expectNone(body + "bar.sync 0;\nst.shared.u32 [%r2], 0;", {1, 64});
}

TEST_F(Races, lanesOfAWarpWithoutSynchronisation) {
  expectRace("st.shared.u32 [%r2], %r1;\nld.shared.u32 %r6, [%r3];", {1, 32},
             "without bar.warp.sync after the write by lane");
  expectNone("st.shared.u32 [%r2], %r1;\nbar.warp.sync -1;\n"
             "ld.shared.u32 %r6, [%r3];",
             {1, 32});
}

TEST_F(Races, sharedMemoryReadBeforeItIsWritten) {
  expectRace("ld.shared.u32 %r6, [%r2];", {1, 32}, "which was not written");
}

TEST_F(Races, ctasThatWriteTheSameWord) {
  expectRace("st.global.u32 [%rd1], %r1;", {2, 1},
             "writes global memory, not ordered after the write by CTA number");
  expectNone("red.global.add.u32 [%rd1], 1;", {8, 32});
}

TEST_F(Races, aFlagOrdersTwoCtas) {
  // CTA 0 writes a word and sets a flag; CTA 1 waits for the flag.
  auto makeBody = [](const char *store, const char *load) {
    return std::string("mov.u32 %r6, %ctaid.x;\nsetp.eq.u32 %p1, %r6, 0;\n"
                       "@!%p1 bra again;\nst.global.u32 [%rd1+64], 5;\n") +
           store + " [%rd1], 1;\nbra.uni end;\nagain:\n" + load +
           " %r7, [%rd1];\nsetp.eq.u32 %p2, %r7, 0;\n@%p2 bra again;\n"
           "ld.global.u32 %r8, [%rd1+64];\nend:";
  };
  expectNone(makeBody("st.release.gpu.global.u32", "ld.acquire.gpu.global.u32"),
             {2, 1});
  // Without a release, the flag says nothing of the word.
  expectRace(makeBody("st.global.u32", "ld.acquire.gpu.global.u32"), {2, 1},
             "global memory, not ordered after");
}

const char *const kStore = R"(
  st.shared.u32 [%r2], %r1;
  @FENCE@
  bar.sync 0;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra end;
  cp.async.bulk.global.shared::cta.bulk_group [%rd1], [%r4], 256;
  cp.async.bulk.commit_group;
  @WAIT@
end:
  bar.sync 0;
  st.shared.u32 [%r2], 0;
)";

std::string makeStore(const char *fence, const char *wait) {
  std::string body = kStore;
  body.replace(body.find("@FENCE@"), 7, fence);
  body.replace(body.find("@WAIT@"), 6, wait);
  return body;
}

TEST_F(Races, anAsynchronousReadWithoutAProxyFence) {
  const char *wait = "cp.async.bulk.wait_group.read 0;";
  expectNone(makeStore("fence.proxy.async;", wait), {1, 64});
  expectRace(makeStore("", wait), {1, 64},
             "reads asynchronously, without fence.proxy.async after the write");
}

TEST_F(Races, anAsynchronousReadThatIsNotComplete) {
  expectRace(makeStore("fence.proxy.async;", ""), {1, 64},
             "overwrites, while an asynchronous read of it is in flight");
}

TEST_F(Races, anMbarrierForTheProxyWithoutAFence) {
  const std::string body =
      "setp.ne.u32 %p1, %r1, 0;\nmov.u32 %r6, bar;\n@%p1 bra wait;\n"
      "mbarrier.init.shared.b64 [%r6], 1;\n";
  const std::string rest =
      "mbarrier.arrive.expect_tx.shared.b64 _, [%r6], 256;\n"
      "cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes "
      "[%r4], "
      "[%rd1], 256, [%r6];\nwait:\nbar.sync 0;\nagain:\n"
      "mbarrier.try_wait.parity.shared.b64 %p2, [%r6], 0;\n@!%p2 bra again;\n"
      "ld.shared.u32 %r7, [%r2];";
  expectNone(body + "fence.mbarrier_init.release.cluster;\n" + rest, {1, 64});
  expectRace(body + rest, {1, 64}, "without fence.mbarrier_init");
}

} // namespace
