// RUN: moe-opt %s --gpu-lower-kern-to-mma | FileCheck %s

// Tests that the host picks one of three kernels by the number of rows.

// CHECK-LABEL: func @gemm
func.func @gemm(%x: memref<?x64xbf16, 1>, %w: memref<2x32x16x2xbf16, 1>, %y: memref<?x32xf32, 1>) {
  // CHECK: scf.if
  // CHECK: llvm.mlir.addressof @name_of_kernel_0
  // CHECK: call @moert_device_launch
  // CHECK: scf.if
  // CHECK: llvm.mlir.addressof @name_of_kernel_1
  // CHECK: llvm.mlir.addressof @name_of_kernel_2
  kern.panel_gemm ins(%x, %w : memref<?x64xbf16, 1>, memref<2x32x16x2xbf16, 1>) outs(%y : memref<?x32xf32, 1>)
  return
}

// Tests that experts get a list of blocks of rows, and that a second loop adds the products of a token.

// CHECK-LABEL: func @combine
func.func @combine(%h: memref<?x32xbf16, 1>, %rows: memref<?xi32, 1>, %offsets: memref<9xi32, 1>,
                   %down: memref<8x4x16x16x2xbf16, 1>, %weights: memref<?x2xf32, 1>, %y: memref<?x64xf32, 1>) {
  // CHECK: %[[PARTS:.*]] = memref.alloc(%{{.*}}) : memref<?x64xf32, 1>
  // CHECK: scf.if
  // CHECK: memref.alloc(%{{.*}}) : memref<?x3xi32, 1>
  // CHECK: scf.parallel
  // CHECK: call @moert_device_launch
  // CHECK: scf.parallel (%[[T:.*]], %[[N:.*]]) =
  // CHECK: memref.load %[[PARTS]][%{{.*}}, %[[N]]]
  kern.experts_combine %h, %rows, %offsets, %down weights(%weights : memref<?x2xf32, 1>)
    outs(%y : memref<?x64xf32, 1>) {slots = 2}
    : memref<?x32xbf16, 1>, memref<?xi32, 1>, memref<9xi32, 1>, memref<8x4x16x16x2xbf16, 1>
  return
}

// CHECK: llvm.mlir.global external @moe_shared() {addr_space = 3 : i32, alignment = 1024 : i64}
// CHECK: func.func @kernel_0
// CHECK-SAME: moe.threads = 128
// CHECK: nvvm.cp.async.shared.global
// CHECK: nvvm.cp.async.wait.group
// CHECK: nvvm.barrier0
// CHECK: nvvm.ldmatrix
// CHECK: nvvm.mma.sync
