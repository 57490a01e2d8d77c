//===- BulkCopyTest.cpp - copies of tensors, and clusters -----------------===//
//
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//

#include "test/runtime/device/emulated/EmulatedDevice.h"

#include <numeric>

using namespace emulated;

namespace {

/// A tensor of rows x columns words of 16 bits with a box of 8 x 64.
struct alignas(64) Descriptor {
  uint8_t bytes[128];
};

class BulkCopies : public EmulatedDevice {
protected:
  void SetUp() override {
    EmulatedDevice::SetUp();
    check();
  }

  static Descriptor describe(CUdeviceptr base, uint64_t rows, uint64_t columns,
                             int swizzle) {
    Descriptor descriptor;
    const uint64_t extents[] = {columns, rows}, strides[] = {columns * 2};
    const uint32_t box[] = {64, 8}, steps[] = {1, 1};
    EXPECT_EQ(cuTensorMapEncodeTiled(&descriptor, 1, 2,
                                     reinterpret_cast<void *>(base), extents,
                                     strides, box, steps, 0, swizzle, 0, 0),
              CUDA_SUCCESS)
        << report();
    return descriptor;
  }

  static std::vector<uint16_t> count(size_t n) {
    std::vector<uint16_t> values(n);
    std::iota(values.begin(), values.end(), 1);
    return values;
  }
};

// Loads a box and shows shared memory as it is; then stores it elsewhere.
const char *const kTensor = R"(
.visible .entry tensor(.param .align 64 .b8 from[128], .param .align 64 .b8 to[128],
                       .param .u64 out, .param .u32 column, .param .u32 row) {
  .reg .b32 %r<16>; .reg .b64 %rd<8>; .reg .pred %p<4>;
  .shared .align 1024 .b8 tile[1024];
  .shared .align 8 .b64 bar;
  mov.b64 %rd1, from;
  mov.b64 %rd5, to;
  ld.param.u64 %rd2, [out];
  ld.param.u32 %r7, [column];
  ld.param.u32 %r8, [row];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, bar;
  mov.u32 %r3, tile;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra wait;
  mbarrier.init.shared::cta.b64 [%r2], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 1024;
  cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r3], [%rd1, {%r7, %r8}], [%r2];
wait:
  bar.sync 0;
again:
  mbarrier.try_wait.parity.shared::cta.b64 %p2, [%r2], 0;
  @!%p2 bra again;
  shl.b32 %r4, %r1, 4;
  add.s32 %r5, %r3, %r4;
  ld.shared.v4.u32 {%r10, %r11, %r12, %r13}, [%r5];
  mul.wide.u32 %rd3, %r1, 16;
  add.s64 %rd4, %rd2, %rd3;
  st.global.v4.u32 [%rd4], {%r10, %r11, %r12, %r13};
  @%p1 bra end;
  cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group [%rd5, {%r7, %r8}], [%r3];
  cp.async.bulk.commit_group;
  cp.async.bulk.wait_group.read 0;
end:
  ret;
})";

TEST_F(BulkCopies, boxesAreSwizzledAndClipped) {
  for (int swizzle : {0, 3})
    for (int column : {0, 32})
      for (int row : {-2, 4}) {
        std::vector<uint16_t> values = count(8 * 72);
        Buffer<uint16_t> in(values), copy(std::vector<uint16_t>(8 * 72));
        Buffer<uint16_t> out(std::vector<uint16_t>(512));
        Descriptor from = describe(in.address, 8, 72, swizzle);
        Descriptor to = describe(copy.address, 8, 72, swizzle);
        CUfunction kernel = load(kTensor, "tensor", "sm_90");
        ASSERT_EQ(run(kernel, {1, 64}, from, to, out.address, column, row),
                  CUDA_SUCCESS)
            << report();
        std::vector<uint16_t> tile = out.read(), copied = copy.read();
        for (int i = 0; i < 8; ++i)
          for (int j = 0; j < 64; ++j) {
            bool isInside = row + i >= 0 && row + i < 8 && column + j < 72;
            unsigned place = (row + i) * 72 + column + j;
            // 16-byte units of a row of 128 bytes change places by its number.
            int unit = swizzle == 3 ? (j / 8) ^ i : j / 8;
            EXPECT_EQ(tile[i * 64 + unit * 8 + j % 8],
                      isInside ? values[place] : 0);
            if (isInside)
              EXPECT_EQ(copied[place], values[place]);
          }
      }
}

TEST_F(BulkCopies, aDescriptorThatTheDeviceRefuses) {
  Descriptor descriptor;
  const uint64_t extents[] = {64, 8}, strides[] = {120};
  const uint32_t box[] = {64, 8}, steps[] = {1, 1};
  EXPECT_EQ(cuTensorMapEncodeTiled(&descriptor, 1, 2, nullptr, extents, strides,
                                   box, steps, 0, 0, 0, 0),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_NE(report().find("strides that are multiples of 16"),
            std::string::npos)
      << report();
}

// CTA 0 of each cluster sends a row to both; both add what the other one wrote
// into their shared memory.
const char *const kCluster = R"(
.visible .entry cluster(.param .u64 in, .param .u64 out) .reqnctapercluster 2, 1, 1 {
  .reg .b32 %r<24>; .reg .b64 %rd<8>; .reg .pred %p<6>; .reg .b16 %h<2>;
  .shared .align 128 .b8 tile[128];
  .shared .align 128 .b8 mail[128];
  .shared .align 8 .b64 bar;
  ld.param.u64 %rd1, [in];
  ld.param.u64 %rd2, [out];
  mov.u32 %r1, %tid.x;
  mov.u32 %r2, bar;
  mov.u32 %r3, tile;
  mov.u32 %r4, mail;
  mov.u32 %r5, %cluster_ctarank;
  mov.u32 %r6, %clusterid.x;
  setp.ne.u32 %p1, %r1, 0;
  @%p1 bra ready;
  mbarrier.init.shared::cta.b64 [%r2], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared::cta.b64 _, [%r2], 128;
ready:
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
  setp.ne.u32 %p2, %r5, 0;
  or.pred %p3, %p1, %p2;
  @%p3 bra sent;
  mul.wide.u32 %rd3, %r6, 128;
  add.s64 %rd3, %rd1, %rd3;
  mov.u16 %h1, 3;
  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster [%r3], [%rd3], 128, [%r2], %h1;
sent:
  xor.b32 %r7, %r5, 1;
  shl.b32 %r8, %r1, 2;
  add.s32 %r9, %r4, %r8;
  mapa.shared::cluster.u32 %r10, %r9, %r7;
  mad.lo.s32 %r11, %r5, 1000, %r1;
  st.shared::cluster.u32 [%r10], %r11;
again:
  mbarrier.try_wait.parity.shared::cta.b64 %p4, [%r2], 0;
  @!%p4 bra again;
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
  add.s32 %r12, %r3, %r8;
  ld.shared.u32 %r13, [%r12];
  ld.shared.u32 %r14, [%r9];
  add.s32 %r13, %r13, %r14;
  mov.u32 %r15, %ctaid.x;
  mad.lo.s32 %r16, %r15, 32, %r1;
  mul.wide.u32 %rd4, %r16, 4;
  add.s64 %rd5, %rd2, %rd4;
  st.global.u32 [%rd5], %r13;
  ret;
})";

TEST_F(BulkCopies, clustersShareMemoryAndMulticasts) {
  std::vector<uint32_t> values(64);
  std::iota(values.begin(), values.end(), 7);
  Buffer<uint32_t> in(values), out(std::vector<uint32_t>(128));
  CUfunction kernel = load(kCluster, "cluster", "sm_90");
  ASSERT_EQ(run(kernel, {4, 32}, in.address, out.address), CUDA_SUCCESS)
      << report();
  std::vector<uint32_t> results = out.read();
  for (unsigned cta = 0; cta < 4; ++cta)
    for (unsigned i = 0; i < 32; ++i)
      EXPECT_EQ(results[cta * 32 + i],
                values[cta / 2 * 32 + i] + (cta % 2 ? 0 : 1000) + i);
}

TEST_F(BulkCopies, bytesThatNobodyAwaitsAreADeadlock) {
  std::string text = kCluster;
  size_t place = text.find("_, [%r2], 128");
  text.replace(place, 13, "_, [%r2], 144");
  Buffer<uint32_t> in(std::vector<uint32_t>(64)),
      out(std::vector<uint32_t>(128));
  EXPECT_EQ(
      run(load(text, "cluster", "sm_90"), {4, 32}, in.address, out.address),
      CUDA_ERROR_LAUNCH_TIMEOUT);
  EXPECT_NE(report().find("waits for an mbarrier, PTX line"), std::string::npos)
      << report();
  Device::get().stickyError = CUDA_SUCCESS;
}

} // namespace
