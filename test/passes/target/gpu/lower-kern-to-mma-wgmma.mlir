// RUN: moe-opt %s --gpu-lower-kern-to-mma=arch=sm_90a | FileCheck %s

// Tests that groups of four warps multiply by wgmma: two products for each half of a step, with panels in registers and rows
// in shared memory, which the copies are shown to before all threads meet.

func.func @gemm(%x: memref<?x64xbf16, 1>, %w: memref<2x32x16x2xbf16, 1>, %y: memref<?x32xf32, 1>) {
  kern.panel_gemm ins(%x, %w : memref<?x64xbf16, 1>, memref<2x32x16x2xbf16, 1>) outs(%y : memref<?x32xf32, 1>)
  return
}

// CHECK-LABEL: func.func @kernel_0
// CHECK-SAME: moe.threads = 128
// CHECK: nvvm.cp.async.wait.group
// CHECK: nvvm.fence.proxy
// CHECK-SAME: async.shared
// CHECK: nvvm.barrier0
// CHECK: llvm.load %{{.*}} : !llvm.ptr<3> -> vector<2xi32>
// CHECK: llvm.inline_asm
// CHECK-SAME: wgmma.fence.sync.aligned
// CHECK-SAME: wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {$0, $1, $2, $3, $4, $5, $6, $7}, {$16, $17, $18, $19}, $20, p, 1, 1, 0
// CHECK-SAME: wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {$8, $9, $10, $11, $12, $13, $14, $15}, {$21, $22, $23, $24}, $25, p, 1, 1, 0
// CHECK-SAME: wgmma.commit_group.sync.aligned
// CHECK-SAME: wgmma.wait_group.sync.aligned 0

// Tests that a thread stores two columns of a row at once.
// CHECK: vector.store %{{.*}} : memref<?x32xf32, 1>, vector<2xf32>

// CHECK-LABEL: func.func @kernel_1
// CHECK-SAME: moe.threads = 128
// CHECK: m64n64k16
// CHECK-LABEL: func.func @kernel_2
// CHECK-SAME: moe.threads = 256
// CHECK: m64n128k16
