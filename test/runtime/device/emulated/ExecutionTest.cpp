//===- ExecutionTest.cpp - control flow, memory and lanes together --------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/device/emulated/EmulatedDevice.h"

#include <numeric>

using namespace emulated;

namespace {

using Execution = EmulatedDevice;

std::vector<uint32_t> count(unsigned n) {
  std::vector<uint32_t> values(n);
  std::iota(values.begin(), values.end(), 0);
  return values;
}

// A loop whose number of turns differs from lane to lane, with a branch in it.
const char *const kCollatz = R"(
.visible .entry collatz(.param .u64 out) {
  .reg .pred %p<4>; .reg .b32 %r<8>; .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [out];
  cvta.to.global.u64 %rd1, %rd1;
  mov.u32 %r1, %tid.x;
  add.s32 %r2, %r1, 1;
  mov.b32 %r3, 0;
loop:
  setp.eq.s32 %p1, %r2, 1;
  @%p1 bra done;
  and.b32 %r4, %r2, 1;
  setp.eq.s32 %p2, %r4, 0;
  add.s32 %r3, %r3, 1;
  @%p2 bra even;
  mad.lo.s32 %r2, %r2, 3, 1;
  bra.uni loop;
even:
  shr.u32 %r2, %r2, 1;
  bra.uni loop;
done:
  // All lanes are together again.
  activemask.b32 %r5;
  setp.ne.b32 %p3, %r5, -1;
  selp.b32 %r3, 999, %r3, %p3;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r3;
  ret;
})";

TEST_F(Execution, divergedLanesMeetAfterTheLoop) {
  CUfunction kernel = load(kCollatz, "collatz");
  Buffer<uint32_t> out(std::vector<uint32_t>(64));
  ASSERT_EQ(run(kernel, {1, 64}, out.address), CUDA_SUCCESS) << report();
  std::vector<uint32_t> values = out.read();
  for (unsigned i = 0; i < 64; ++i) {
    unsigned steps = 0;
    for (unsigned n = i + 1; n != 1; n = n % 2 ? 3 * n + 1 : n / 2)
      ++steps;
    EXPECT_EQ(values[i], steps) << i;
  }
}

const char *const kSwitch = R"(
.visible .entry choose(.param .u64 out) {
  .reg .pred %p<2>; .reg .b32 %r<6>; .reg .b64 %rd<4>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  rem.u32 %r2, %r1, 3;
  targets: .branchtargets zero, one, two;
  brx.idx %r2, targets;
zero:
  mov.u32 %r3, 100;
  bra.uni end;
one:
  mov.u32 %r3, 200;
  bra.uni end;
two:
  mov.u32 %r3, 300;
end:
  vote.sync.all.pred %p1, 1, -1;
  @!%p1 trap;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r3;
  ret;
})";

TEST_F(Execution, indexedBranchesTakeEachTarget) {
  CUfunction kernel = load(kSwitch, "choose");
  Buffer<uint32_t> out(std::vector<uint32_t>(32));
  ASSERT_EQ(run(kernel, {1, 32}, out.address), CUDA_SUCCESS) << report();
  std::vector<uint32_t> values = out.read();
  for (unsigned i = 0; i < 32; ++i)
    EXPECT_EQ(values[i], 100 * (i % 3 + 1));
}

const char *const kCall = R"(
.func (.param .b32 result) square(.param .b32 value) {
  .reg .b32 %r<3>; .reg .pred %p<2>;
  ld.param.b32 %r1, [value];
  setp.gt.u32 %p1, %r1, 20;
  @%p1 bra big;
  mul.lo.s32 %r2, %r1, %r1;
  st.param.b32 [result], %r2;
  ret;
big:
  mov.b32 %r2, 7;
  st.param.b32 [result], %r2;
  ret;
}
.visible .entry calls(.param .u64 out) {
  .reg .b32 %r<6>; .reg .b64 %rd<4>; .reg .pred %p<2>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, 1;
  setp.ge.u32 %p1, %r1, 4;
  @!%p1 bra after;
  {
    .param .b32 argument;
    .param .b32 value;
    st.param.b32 [argument], %r1;
    call.uni (value), square, (argument);
    ld.param.b32 %r2, [value];
  }
after:
  activemask.b32 %r3;
  popc.b32 %r4, %r3;
  mad.lo.s32 %r2, %r4, 10000, %r2;
  mul.wide.u32 %rd2, %r1, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r2;
  ret;
})";

TEST_F(Execution, callsReturnToDivergedCallers) {
  CUfunction kernel = load(kCall, "calls");
  Buffer<uint32_t> out(std::vector<uint32_t>(32));
  ASSERT_EQ(run(kernel, {1, 32}, out.address), CUDA_SUCCESS) << report();
  std::vector<uint32_t> values = out.read();
  for (unsigned i = 0; i < 32; ++i)
    EXPECT_EQ(values[i], 320000 + (i < 4 ? 1 : i > 20 ? 7 : i * i)) << i;
}

// Reverses the elements of a block through shared memory, with a sum by
// shuffles and an atomic addition.
const char *const kShared = R"(
.shared .align 4 .b32 tile[256];
.extern .shared .align 16 .b8 dynamic[];
.visible .entry reverse(.param .u64 in, .param .u64 out, .param .u64 sum) {
  .reg .b32 %r<16>; .reg .b64 %rd<8>; .reg .pred %p<3>;
  ld.param.u64 %rd1, [in];
  ld.param.u64 %rd2, [out];
  ld.param.u64 %rd3, [sum];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, %ctaid.x;
  mov.u32 %r3, %ntid.x;
  mad.lo.s32 %r4, %r2, %r3, %r1;
  mul.wide.u32 %rd4, %r4, 4;
  add.s64 %rd5, %rd1, %rd4;
  ld.global.u32 %r5, [%rd5];
  mov.u32 %r6, tile;
  shl.b32 %r7, %r1, 2;
  add.s32 %r8, %r6, %r7;
  st.shared.u32 [%r8], %r5;
  mov.u32 %r14, dynamic;
  add.s32 %r14, %r14, %r7;
  st.shared.u32 [%r14], %r5;
  bar.sync 0;
  sub.s32 %r9, %r3, %r1;
  shl.b32 %r9, %r9, 2;
  add.s32 %r9, %r6, %r9;
  ld.shared.u32 %r10, [%r9+-4];
  ld.shared.u32 %r15, [%r14];
  add.s64 %rd6, %rd2, %rd4;
  st.global.u32 [%rd6], %r10;
  shfl.sync.bfly.b32 %r11, %r15, 16, 31, -1;
  add.s32 %r5, %r15, %r11;
  shfl.sync.bfly.b32 %r11, %r5, 8, 31, -1;
  add.s32 %r5, %r5, %r11;
  shfl.sync.bfly.b32 %r11, %r5, 4, 31, -1;
  add.s32 %r5, %r5, %r11;
  shfl.sync.bfly.b32 %r11, %r5, 2, 31, -1;
  add.s32 %r5, %r5, %r11;
  shfl.sync.bfly.b32 %r11, %r5, 1, 31, -1;
  add.s32 %r5, %r5, %r11;
  mov.u32 %r12, %laneid;
  setp.eq.u32 %p1, %r12, 0;
  @%p1 red.global.add.u32 [%rd3], %r5;
  ret;
})";

TEST_F(Execution, sharedMemoryShufflesAndAtomics) {
  check();
  CUfunction kernel = load(kShared, "reverse");
  Buffer<uint32_t> in(count(1024)), out(std::vector<uint32_t>(1024));
  Buffer<uint32_t> sum(std::vector<uint32_t>(1));
  ASSERT_EQ(run(kernel, {4, 256, 1024}, in.address, out.address, sum.address),
            CUDA_SUCCESS)
      << report();
  std::vector<uint32_t> values = out.read();
  for (unsigned i = 0; i < 1024; ++i)
    EXPECT_EQ(values[i], i / 256 * 256 + 255 - i % 256);
  EXPECT_EQ(sum.read()[0], 1024u * 1023 / 2);
}

// Vectors, bytes, local memory and generic addresses.
const char *const kMemory = R"(
.global .align 8 .u64 table[2] = {generic(values), values+4};
.global .align 4 .u32 values[2] = {11, 22};
.visible .entry access(.param .u64 in, .param .u64 out) {
  .local .align 16 .b8 frame[32];
  .reg .b32 %r<16>; .reg .b64 %rd<12>; .reg .b16 %h<3>;
  ld.param.u64 %rd1, [in];
  ld.param.u64 %rd2, [out];
  mov.u32 %r1, %tid.x;
  mul.wide.u32 %rd3, %r1, 16;
  add.s64 %rd4, %rd1, %rd3;
  ld.global.v4.u32 {%r2, %r3, %r4, %r5}, [%rd4];
  mov.u64 %rd5, frame;
  cvta.local.u64 %rd6, %rd5;
  st.v2.u32 [%rd6], {%r2, %r3};
  st.local.u32 [frame+8], %r4;
  ld.local.u32 %r6, [frame];
  ld.u32 %r7, [%rd6+4];
  ld.u32 %r8, [%rd6+8];
  ld.global.s8 %r9, [%rd4+12];
  ld.global.u8 %h1, [%rd4+12];
  cvt.u32.u16 %r10, %h1;
  ld.global.u64 %rd7, [table+8];
  ld.u32 %r11, [%rd7];
  add.s32 %r6, %r6, %r7;
  add.s32 %r6, %r6, %r8;
  add.s64 %rd8, %rd2, %rd3;
  st.global.v4.u32 [%rd8], {%r6, %r9, %r10, %r11};
  ret;
})";

TEST_F(Execution, loadsAndStoresOfEverySpace) {
  check();
  CUfunction kernel = load(kMemory, "access");
  std::vector<uint32_t> values = count(128);
  for (unsigned i = 3; i < 128; i += 4)
    values[i] = 0xffffff80u + i;
  Buffer<uint32_t> in(values), out(std::vector<uint32_t>(128));
  ASSERT_EQ(run(kernel, {1, 32}, in.address, out.address), CUDA_SUCCESS)
      << report();
  std::vector<uint32_t> results = out.read();
  for (unsigned i = 0; i < 32; ++i) {
    EXPECT_EQ(results[4 * i], 12 * i + 3);
    EXPECT_EQ(results[4 * i + 1], uint32_t(int8_t(0x80 + 4 * i + 3)));
    EXPECT_EQ(results[4 * i + 2], (0x80 + 4 * i + 3) & 0xff);
    EXPECT_EQ(results[4 * i + 3], 22u);
  }
}

// A lock that each CTA takes and frees: others must go on while one waits.
const char *const kLock = R"(
.visible .entry lock(.param .u64 place, .param .u64 counter) {
  .reg .b32 %r<6>; .reg .b64 %rd<3>; .reg .pred %p<3>;
  ld.param.u64 %rd1, [place];
  ld.param.u64 %rd2, [counter];
  mov.u32 %r1, %tid.x;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra end;
again:
  atom.global.cas.b32 %r2, [%rd1], 0, 1;
  setp.ne.u32 %p2, %r2, 0;
  @%p2 bra again;
  ld.volatile.global.u32 %r3, [%rd2];
  add.s32 %r3, %r3, 1;
  st.volatile.global.u32 [%rd2], %r3;
  membar.gl;
  atom.global.exch.b32 %r4, [%rd1], 0;
end:
  ret;
})";

TEST_F(Execution, ctasThatWaitForEachOther) {
  CUfunction kernel = load(kLock, "lock");
  Buffer<uint32_t> place(std::vector<uint32_t>(1)),
      counter(std::vector<uint32_t>(1));
  ASSERT_EQ(run(kernel, {128, 64}, place.address, counter.address),
            CUDA_SUCCESS)
      << report();
  EXPECT_EQ(counter.read()[0], 128u);
}

// CTA 0 waits for a word that the last CTA writes.
const char *const kGridWait = R"(
.visible .entry wait(.param .u64 place) {
  .reg .b32 %r<6>; .reg .b64 %rd<3>; .reg .pred %p<3>;
  ld.param.u64 %rd1, [place];
  mov.u32 %r1, %ctaid.x;
  setp.eq.u32 %p1, %r1, 0;
  @%p1 bra again;
  setp.ne.u32 %p1, %r1, 7;
  @%p1 bra end;
  mov.u32 %r2, 1;
  st.release.gpu.global.u32 [%rd1], %r2;
  bra.uni end;
again:
  ld.acquire.gpu.global.u32 %r3, [%rd1];
  setp.eq.u32 %p2, %r3, 0;
  @%p2 bra again;
end:
  ret;
})";

TEST_F(Execution, aCtaThatWaitsForALaterOne) {
  Device::get().options.numThreads = 1;
  CUfunction kernel = load(kGridWait, "wait");
  Buffer<uint32_t> place(std::vector<uint32_t>(1));
  EXPECT_EQ(run(kernel, {8, 32}, place.address), CUDA_SUCCESS) << report();
}

const char *const kLanes = R"(
.visible .entry lanes(.param .u64 out) {
  .reg .b32 %r<16>; .reg .b64 %rd<4>; .reg .pred %p<5>;
  ld.param.u64 %rd1, [out];
  mov.u32 %r1, %tid.x;
  and.b32 %r2, %r1, 3;
  setp.eq.u32 %p1, %r2, 0;
  vote.sync.ballot.b32 %r3, %p1, -1;
  match.any.sync.b32 %r4, %r2, -1;
  redux.sync.add.s32 %r5, %r1, -1;
  redux.sync.max.u32 %r6, %r1, -1;
  shfl.sync.up.b32 %r7|%p2, %r1, 1, 0, -1;
  selp.b32 %r7, %r7, 77, %p2;
  shfl.sync.idx.b32 %r8, %r1, 5, 0x181f, -1;
  elect.sync %r9|%p3, -1;
  selp.b32 %r9, 1, 0, %p3;
  mul.wide.u32 %rd2, %r1, 32;
  add.s64 %rd3, %rd1, %rd2;
  st.global.v4.u32 [%rd3], {%r3, %r4, %r5, %r6};
  st.global.v4.u32 [%rd3+16], {%r7, %r8, %r9, %r2};
  ret;
})";

TEST_F(Execution, operationsOfAWarp) {
  CUfunction kernel = load(kLanes, "lanes");
  Buffer<uint32_t> out(std::vector<uint32_t>(256));
  ASSERT_EQ(run(kernel, {1, 32}, out.address), CUDA_SUCCESS) << report();
  std::vector<uint32_t> values = out.read();
  for (unsigned i = 0; i < 32; ++i) {
    const uint32_t *row = values.data() + 8 * i;
    EXPECT_EQ(row[0], 0x11111111u);
    EXPECT_EQ(row[1], 0x11111111u << i % 4);
    EXPECT_EQ(row[2], 496u);
    EXPECT_EQ(row[3], 31u);
    EXPECT_EQ(row[4], i ? i - 1 : 77);
    // Segments of 8 lanes: lane 5 of each.
    EXPECT_EQ(row[5], i / 8 * 8 + 5);
    EXPECT_EQ(row[6], i == 0);
  }
}

// Lane i reads the word i * stride of a tile.
const char *const kStride = R"(
.visible .entry stride(.param .u64 out, .param .u32 stride) {
  .reg .b32 %r<8>; .reg .b64 %rd<4>;
  .shared .align 16 .b8 tile[8192];
  ld.param.u64 %rd1, [out];
  ld.param.u32 %r1, [stride];
  mov.u32 %r2, %tid.x;
  mul.lo.s32 %r3, %r2, %r1;
  shl.b32 %r3, %r3, 2;
  mov.u32 %r4, tile;
  add.s32 %r3, %r3, %r4;
  ld.shared.u32 %r5, [%r3];
  mul.wide.u32 %rd2, %r2, 4;
  add.s64 %rd3, %rd1, %rd2;
  st.global.u32 [%rd3], %r5;
  ret;
})";

TEST_F(Execution, theReportCountsBanksAndSectors) {
  const char *path = "emulated-report.json";
  setenv("MOE_EMULATED_REPORT", path, 1);
  Device::get().options.isCounting = true;
  CUfunction kernel = load(kStride, "stride");
  Buffer<uint32_t> out(std::vector<uint32_t>(32));
  const unsigned strides[] = {0, 1, 2, 8, 32, 33};
  for (unsigned stride : strides) {
    remove(path);
    ASSERT_EQ(run(kernel, {1, 32}, out.address, stride), CUDA_SUCCESS);
    FILE *file = fopen(path, "r");
    ASSERT_NE(file, nullptr);
    char text[1024] = {};
    EXPECT_GT(fread(text, 1, sizeof text - 1, file), 0u);
    fclose(file);
    // Lanes meet in a bank as often as the stride divides 32.
    unsigned expected = stride ? std::gcd(stride, 32u) : 1;
    std::string wavefronts =
        "\"wavefronts\": " + std::to_string(expected) + ",";
    EXPECT_NE(std::string(text).find(wavefronts), std::string::npos) << text;
    EXPECT_NE(std::string(text).find("\"sectors\": 4"), std::string::npos)
        << text;
  }
  remove(path);
  unsetenv("MOE_EMULATED_REPORT");
}

TEST_F(Execution, anUnknownInstructionIsAnErrorAtLoad) {
  CUmodule module = nullptr;
  EXPECT_EQ(cuModuleLoadData(&module, ".version 8.0\n.target sm_80\n"
                                      ".address_size 64\n.entry k() {\n"
                                      "  frobnicate.b32;\n}\n"),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(report().find("line 5: instruction 'frobnicate.b32'"),
            std::string::npos)
      << report();
}

TEST_F(Execution, anUnknownModifierIsAnErrorAtLoad) {
  CUmodule module = nullptr;
  EXPECT_EQ(cuModuleLoadData(&module, ".version 8.0\n.target sm_80\n"
                                      ".address_size 64\n.entry k() {\n"
                                      "  .reg .b32 %r<3>;\n"
                                      "  add.purple.s32 %r1, %r2, 1;\n}\n"),
            CUDA_ERROR_INVALID_PTX);
  EXPECT_NE(report().find("line 6: instruction 'add.purple.s32': modifier "
                          "'.purple' is not supported"),
            std::string::npos)
      << report();
}

TEST_F(Execution, codeForAnotherArchitectureIsRefused) {
  CUmodule module = nullptr;
  EXPECT_EQ(cuModuleLoadData(&module,
                             ".version 8.0\n.target sm_100a\n"
                             ".address_size 64\n.entry k() { ret; }\n"),
            CUDA_ERROR_NO_BINARY_FOR_GPU);
}

} // namespace
