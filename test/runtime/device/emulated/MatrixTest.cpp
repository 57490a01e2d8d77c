//===- MatrixTest.cpp - products of matrices and the copies that feed them -===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/device/emulated/EmulatedDevice.h"

#include <cmath>
#include <random>

using namespace emulated;

namespace {

class Matrices : public EmulatedDevice {
protected:
  void SetUp() override {
    EmulatedDevice::SetUp();
    check();
  }
};

float decodeE4M3(uint8_t bits) {
  int exponent = bits >> 3 & 15, fraction = bits & 7;
  float value = exponent ? std::ldexp(8 + fraction, exponent - 10)
                         : std::ldexp(fraction, -9);
  return bits & 0x80 ? -value : value;
}

/// One warp: D = A * B + C with fragments loaded by the rules of the PTX
/// manual from A by rows and B by columns, elements of `size` bytes.
std::string makeMma(const std::string &name, const std::string &types,
                    unsigned depth, unsigned size) {
  unsigned words = depth * size / 4;
  std::string body = ".visible .entry product(.param .u64 a, .param .u64 b, "
                     ".param .u64 c, .param .u64 d) {\n"
                     ".reg .b32 %r<32>; .reg .b64 %rd<32>;\n"
                     "ld.param.u64 %rd1, [a];\nld.param.u64 %rd2, [b];\n"
                     "ld.param.u64 %rd3, [c];\nld.param.u64 %rd4, [d];\n"
                     "mov.u32 %r1, %tid.x;\nshr.u32 %r2, %r1, 2;\n"
                     "and.b32 %r3, %r1, 3;\n";
  // %rd5: the row of A; %rd6: the column of B.
  body += "mad.lo.u32 %r4, %r2, " + std::to_string(words) +
          ", %r3;\nmad.wide.u32 %rd5, %r4, 4, %rd1;\n"
          "mad.wide.u32 %rd6, %r4, 4, %rd2;\n"
          "mad.lo.u32 %r5, %r2, 4, %r3;\nmad.wide.u32 %rd7, %r5, 8, %rd3;\n"
          "mad.wide.u32 %rd8, %r5, 8, %rd4;\n";
  unsigned numB = words / 4;
  std::string a, b;
  for (unsigned i = 0; i < 2 * numB; ++i) {
    unsigned offset = i % 2 * 8 * words * 4 + i / 2 * 16;
    body += "ld.global.b32 %r" + std::to_string(10 + i) + ", [%rd5+" +
            std::to_string(offset) + "];\n";
    a += (i ? ", %r" : "%r") + std::to_string(10 + i);
  }
  for (unsigned i = 0; i < numB; ++i) {
    body += "ld.global.b32 %r" + std::to_string(20 + i) + ", [%rd6+" +
            std::to_string(i * 16) + "];\n";
    b += (i ? ", %r" : "%r") + std::to_string(20 + i);
  }
  body += "ld.global.v2.b32 {%r24, %r25}, [%rd7];\n"
          "ld.global.v2.b32 {%r26, %r27}, [%rd7+256];\n"
          "mma.sync.aligned." +
          name + ".row.col." + types + " {%r28, %r29, %r30, %r31}, {" + a +
          "}, {" + b +
          "}, {%r24, %r25, %r26, %r27};\n"
          "st.global.v2.b32 [%rd8], {%r28, %r29};\n"
          "st.global.v2.b32 [%rd8+256], {%r30, %r31};\nret;\n}\n";
  return body;
}

/// Small integers, which every type holds: results are exact.
template <typename T, typename Sum, typename Encode, typename Decode>
void testMma(EmulatedDevice &, CUfunction kernel, unsigned depth, Encode encode,
             Decode decode,
             CUresult (*launch)(CUfunction, CUdeviceptr, CUdeviceptr,
                                CUdeviceptr, CUdeviceptr)) {
  std::mt19937 random(3);
  std::vector<T> a(16 * depth), b(8 * depth);
  std::vector<Sum> c(128), zero(128);
  for (T &value : a)
    value = encode(random);
  for (T &value : b)
    value = encode(random);
  for (Sum &value : c)
    value = Sum(int(random() % 9) - 4);
  Buffer<T> bufferA(a), bufferB(b);
  Buffer<Sum> bufferC(c), bufferD(zero);
  ASSERT_EQ(launch(kernel, bufferA.address, bufferB.address, bufferC.address,
                   bufferD.address),
            CUDA_SUCCESS)
      << Device::get().report;
  std::vector<Sum> d = bufferD.read();
  for (unsigned row = 0; row < 16; ++row)
    for (unsigned column = 0; column < 8; ++column) {
      Sum expected = c[row * 8 + column];
      for (unsigned k = 0; k < depth; ++k)
        expected += Sum(decode(a[row * depth + k])) *
                    Sum(decode(b[column * depth + k]));
      EXPECT_EQ(d[row * 8 + column], expected) << row << ", " << column;
    }
}

CUresult launchProduct(CUfunction kernel, CUdeviceptr a, CUdeviceptr b,
                       CUdeviceptr c, CUdeviceptr d) {
  void *pointers[] = {&a, &b, &c, &d};
  if (CUresult error = cuLaunchKernel(kernel, 1, 1, 1, 32, 1, 1, 0, nullptr,
                                      pointers, nullptr))
    return error;
  return cuCtxSynchronize();
}

uint16_t toHalf(float value) {
  return __builtin_bit_cast(uint16_t, _Float16(value));
}
float fromHalf(uint16_t bits) {
  return float(__builtin_bit_cast(_Float16, bits));
}
uint16_t toBfloat(float value) {
  return __builtin_bit_cast(uint32_t, value) >> 16;
}
float fromBfloat(uint16_t bits) {
  return __builtin_bit_cast(float, uint32_t(bits) << 16);
}

TEST_F(Matrices, productsOfHalves) {
  for (unsigned depth : {8u, 16u}) {
    std::string shape = "m16n8k" + std::to_string(depth);
    testMma<uint16_t, float>(
        *this, load(makeMma(shape, "f32.f16.f16.f32", depth, 2), "product"),
        depth, [](auto &random) { return toHalf(int(random() % 7) - 3); },
        fromHalf, launchProduct);
    testMma<uint16_t, float>(
        *this, load(makeMma(shape, "f32.bf16.bf16.f32", depth, 2), "product"),
        depth, [](auto &random) { return toBfloat(int(random() % 7) - 3); },
        fromBfloat, launchProduct);
  }
}

TEST_F(Matrices, productsOfTf32) {
  for (unsigned depth : {4u, 8u})
    testMma<float, float>(
        *this,
        load(makeMma("m16n8k" + std::to_string(depth), "f32.tf32.tf32.f32",
                     depth, 4),
             "product"),
        depth, [](auto &random) { return float(int(random() % 7) - 3); },
        [](float value) { return value; }, launchProduct);
}

TEST_F(Matrices, productsOfBytes) {
  for (unsigned depth : {16u, 32u}) {
    std::string shape = "m16n8k" + std::to_string(depth);
    testMma<int8_t, int32_t>(
        *this, load(makeMma(shape, "s32.s8.s8.s32", depth, 1), "product"),
        depth, [](auto &random) { return int8_t(random()); },
        [](int8_t value) { return value; }, launchProduct);
    testMma<uint8_t, int32_t>(
        *this, load(makeMma(shape, "s32.u8.u8.s32", depth, 1), "product"),
        depth, [](auto &random) { return uint8_t(random()); },
        [](uint8_t value) { return value; }, launchProduct);
  }
}

TEST_F(Matrices, productsOfFloat8) {
  // Codes of 1 to 15.5: the sums have few digits.
  testMma<uint8_t, float>(
      *this, load(makeMma("m16n8k32", "f32.e4m3.e4m3.f32", 32, 1), "product"),
      32,
      [](auto &random) {
        return uint8_t(0x38 + random() % 32 + random() % 2 * 128);
      },
      decodeE4M3, launchProduct);
}

// Loads tiles by cp.async in two groups, then by ldmatrix.
const char *const kPipeline = R"(
.visible .entry pipeline(.param .u64 in, .param .u64 out, .param .u32 size) {
  .reg .b32 %r<32>; .reg .b64 %rd<8>;
  .shared .align 128 .b8 tiles[1024];
  ld.param.u64 %rd1, [in];
  ld.param.u64 %rd2, [out];
  ld.param.u32 %r20, [size];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, tiles;
  shl.b32 %r3, %r1, 4;
  add.s32 %r4, %r2, %r3;
  mul.wide.u32 %rd3, %r1, 16;
  add.s64 %rd4, %rd1, %rd3;
  cp.async.cg.shared.global [%r4], [%rd4], 16;
  cp.async.commit_group;
  cp.async.cg.shared.global.L2::128B [%r4+512], [%rd4+512], 16, %r20;
  cp.async.commit_group;
  cp.async.wait_group @WAIT@;
  bar.sync 0;
  ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%r5, %r6, %r7, %r8}, [%r4];
  ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%r9, %r10, %r11, %r12}, [%r4+512];
  mul.wide.u32 %rd5, %r1, 32;
  add.s64 %rd6, %rd2, %rd5;
  st.global.v4.b32 [%rd6], {%r5, %r6, %r7, %r8};
  st.global.v4.b32 [%rd6+16], {%r9, %r10, %r11, %r12};
  stmatrix.sync.aligned.m8n8.x4.trans.shared.b16 [%r4], {%r5, %r6, %r7, %r8};
  bar.warp.sync -1;
  ld.shared.v4.b32 {%r5, %r6, %r7, %r8}, [%r4];
  st.global.v4.b32 [%rd6+1024], {%r5, %r6, %r7, %r8};
  ret;
})";

class Pipeline : public Matrices {
protected:
  std::vector<uint16_t> runWith(const char *wait, uint32_t size) {
    std::string text = kPipeline;
    text.replace(text.find("@WAIT@"), 6, wait);
    CUfunction kernel = load(text, "pipeline", "sm_90");
    std::vector<uint16_t> values(512);
    for (unsigned i = 0; i < 512; ++i)
      values[i] = i;
    Buffer<uint16_t> in(values), out(std::vector<uint16_t>(1024));
    EXPECT_EQ(run(kernel, {1, 32}, in.address, out.address, size), CUDA_SUCCESS)
        << report();
    return out.read();
  }
};

TEST_F(Pipeline, copiesAndTiles) {
  std::vector<uint16_t> values = runWith("0", 16);
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned tile = 0; tile < 4; ++tile)
      for (unsigned i = 0; i < 2; ++i) {
        unsigned row = lane / 4, column = lane % 4 * 2 + i;
        EXPECT_EQ(values[lane * 16 + tile * 2 + i],
                  tile * 64 + row * 8 + column);
        EXPECT_EQ(values[lane * 16 + 8 + tile * 2 + i],
                  256 + tile * 64 + column * 8 + row);
        // Stored transposed, read by rows: lane l reads row l % 8 of tile l
        // / 8.
        unsigned element = tile * 2 + i;
        EXPECT_EQ(values[512 + lane * 16 + element],
                  lane / 8 * 64 + element * 8 + lane % 8);
      }
}

TEST_F(Pipeline, bytesThatAreNotReadBecomeZero) {
  std::vector<uint16_t> values = runWith("0", 4);
  for (unsigned lane = 0; lane < 32; ++lane)
    for (unsigned i = 0; i < 2; ++i) {
      unsigned row = lane / 4, column = lane % 4 * 2 + i;
      EXPECT_EQ(values[lane * 16 + 8 + i],
                row < 2 ? 256 + column * 8 + row : 0);
    }
}

TEST_F(Pipeline, aWaitThatComesTooEarlyIsFound) {
  std::string text = kPipeline;
  text.replace(text.find("@WAIT@"), 6, "1");
  CUfunction kernel = load(text, "pipeline", "sm_90");
  Buffer<uint16_t> in(std::vector<uint16_t>(512)),
      out(std::vector<uint16_t>(1024));
  EXPECT_EQ(run(kernel, {1, 32}, in.address, out.address, 16),
            CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_NE(report().find("while an asynchronous copy to it is in flight"),
            std::string::npos)
      << report();
  Device::get().stickyError = CUDA_SUCCESS;
}

// Lane 0 waits on an mbarrier for the copies of all lanes.
const char *const kMbarrier = R"(
.visible .entry arrive(.param .u64 in, .param .u64 out) {
  .reg .b32 %r<16>; .reg .b64 %rd<8>; .reg .pred %p<4>;
  .shared .align 128 .b8 tile[1024];
  .shared .align 8 .b64 bar;
  ld.param.u64 %rd1, [in];
  ld.param.u64 %rd2, [out];
  mov.u32 %r1, %tid.x;
  setp.ne.u32 %p1, %r1, 0;
  mov.u32 %r2, bar;
  @%p1 bra ready;
  mbarrier.init.shared.b64 [%r2], 64;
ready:
  bar.sync 0;
  mov.u32 %r3, tile;
  shl.b32 %r4, %r1, 4;
  add.s32 %r3, %r3, %r4;
  mul.wide.u32 %rd3, %r1, 16;
  add.s64 %rd4, %rd1, %rd3;
  cp.async.ca.shared.global [%r3], [%rd4], 16;
  cp.async.mbarrier.arrive.noinc.shared.b64 [%r2];
wait:
  mbarrier.try_wait.parity.shared.b64 %p2, [%r2], 0;
  @!%p2 bra wait;
  xor.b32 %r4, %r4, 1008;
  mov.u32 %r5, tile;
  add.s32 %r5, %r5, %r4;
  ld.shared.u32 %r6, [%r5];
  mul.wide.u32 %rd5, %r1, 4;
  add.s64 %rd6, %rd2, %rd5;
  st.global.u32 [%rd6], %r6;
  ret;
})";

TEST_F(Matrices, copiesArriveAtAnMbarrier) {
  for (AsyncOrder order :
       {AsyncOrder::Early, AsyncOrder::Late, AsyncOrder::Random})
    for (uint64_t seed : {0, 1, 2}) {
      Device::get().options.order = order;
      Device::get().options.seed = seed;
      CUfunction kernel = load(kMbarrier, "arrive");
      std::vector<uint32_t> values(256);
      for (unsigned i = 0; i < 256; ++i)
        values[i] = i;
      Buffer<uint32_t> in(values), out(std::vector<uint32_t>(64));
      ASSERT_EQ(run(kernel, {1, 64}, in.address, out.address), CUDA_SUCCESS)
          << report();
      std::vector<uint32_t> results = out.read();
      for (unsigned i = 0; i < 64; ++i)
        EXPECT_EQ(results[i], (i ^ 63) * 4);
    }
}

} // namespace
