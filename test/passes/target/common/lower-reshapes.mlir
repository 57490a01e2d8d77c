// RUN: moe-opt --moe-lower-reshapes %s | FileCheck %s

// Tests that the strides of a view with two unknown extents are computed.
// CHECK-LABEL: func.func @rows
// CHECK-SAME: %[[A:[a-z0-9]+]]: memref<?xf32>, %[[M:[a-z0-9]+]]: index, %[[N:[a-z0-9]+]]: index
// CHECK: %[[VIEW:.*]] = memref.reinterpret_cast %[[A]] to offset: [0], sizes: [%[[M]], 4, %[[N]]], strides: [%{{.*}}, %[[ROW:.*]], 1]
// CHECK: return %[[VIEW]]
func.func @rows(%a: memref<?xf32>, %m: index, %n: index) -> memref<?x4x?xf32> {
  %b = memref.expand_shape %a [[0, 1, 2]] output_shape [%m, 4, %n] : memref<?xf32> into memref<?x4x?xf32>
  return %b : memref<?x4x?xf32>
}

// Tests that a view with one unknown extent is left to upstream.
// CHECK-LABEL: func.func @columns
// CHECK: memref.expand_shape
func.func @columns(%a: memref<?xf32>, %m: index) -> memref<?x4xf32> {
  %b = memref.expand_shape %a [[0, 1]] output_shape [%m, 4] : memref<?xf32> into memref<?x4xf32>
  return %b : memref<?x4xf32>
}
