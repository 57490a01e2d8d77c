// RUN: moe-opt %s --gpu-lower-kern-to-loops | FileCheck %s

// Tests that an iteration computes one number with a sum in rising order.

// CHECK-LABEL: func @gemm
func.func @gemm(%x: memref<?x8xf32>, %w: memref<1x8x16x1xf32>, %y: memref<?x4xf32>) {
  // CHECK: scf.parallel (%[[M:[a-z0-9]+]], %[[N:[a-z0-9]+]]) =
  // CHECK: %[[SUM:[a-z0-9]+]] = scf.for %[[K:[a-z0-9]+]] = {{.*}} -> (f32)
  // CHECK: memref.load %{{.*}}[%[[M]], %[[K]]] : memref<?x8xf32>
  // CHECK: math.fma
  // CHECK: memref.store %[[SUM]], %{{.*}}[%[[M]], %[[N]]]
  kern.panel_gemm ins(%x, %w : memref<?x8xf32>, memref<1x8x16x1xf32>) outs(%y : memref<?x4xf32>)
  return
}

// Tests that what tensor cores can do stays.

// CHECK-LABEL: func @cores
func.func @cores(%x: memref<?x64xbf16>, %w: memref<2x32x16x2xbf16>, %y: memref<?x32xf32>) {
  // CHECK: kern.panel_gemm
  kern.panel_gemm ins(%x, %w : memref<?x64xbf16>, memref<2x32x16x2xbf16>) outs(%y : memref<?x32xf32>)
  return
}

// Tests that an inner extent that is no multiple of 32 does not.

// CHECK-LABEL: func @odd
func.func @odd(%x: memref<?x40xbf16>, %w: memref<2x20x16x2xbf16>, %y: memref<?x32xf32>) {
  // CHECK-NOT: kern.panel_gemm
  kern.panel_gemm ins(%x, %w : memref<?x40xbf16>, memref<2x20x16x2xbf16>) outs(%y : memref<?x32xf32>)
  return
}
