// RUN: moe-opt %s --moe-lower-copies | FileCheck %s

// Tests that a strided copy becomes a loop nest and a contiguous one stays.

// CHECK-LABEL: func @copies
func.func @copies(%a: memref<8x4xf32>, %b: memref<8x2xf32>, %c: memref<8x4xf32>) {
  %head = memref.subview %a[0, 0] [8, 2] [1, 1] : memref<8x4xf32> to memref<8x2xf32, strided<[4, 1]>>
  // CHECK: linalg.generic
  // CHECK-SAME: ins(%{{.*}} : memref<8x2xf32, strided<[4, 1]>>) outs(%{{.*}} : memref<8x2xf32>)
  memref.copy %head, %b : memref<8x2xf32, strided<[4, 1]>> to memref<8x2xf32>
  // CHECK: memref.copy %{{.*}}, %{{.*}} : memref<8x4xf32> to memref<8x4xf32>
  memref.copy %a, %c : memref<8x4xf32> to memref<8x4xf32>
  return
}
