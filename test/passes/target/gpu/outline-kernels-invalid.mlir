// RUN: not moe-opt %s --gpu-outline-kernels 2>&1 | FileCheck %s

// Tests that a buffer of the host in a kernel is an error.

func.func @mixed(%a: memref<?xf32, 1>, %b: memref<?xf32>, %n: index) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // CHECK: error: 'scf.parallel' op expected values that a kernel can receive, got 'memref<?xf32>'
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %v = memref.load %b[%i] : memref<?xf32>
    memref.store %v, %a[%i] : memref<?xf32, 1>
  }
  return
}
