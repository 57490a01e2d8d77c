// RUN: moe-opt %s -split-input-file -convert-onnx-to-linalg -canonicalize -cse | FileCheck %s

// Tests that integers are subtracted as integers, without a sign where they have none.
// CHECK-LABEL: func.func @dequantize(
// CHECK:         arith.extui %{{.*}} : i8 to i32
// CHECK:         arith.subi %{{.*}} : i32
// CHECK:         arith.sitofp %{{.*}} : i32 to f32
// CHECK:         arith.mulf
func.func @dequantize(%x: tensor<4xui8>, %s: tensor<f32>, %z: tensor<ui8>) -> tensor<4xf32> {
  %y = onnx.DequantizeLinear(%x, %s, %z) : (tensor<4xui8>, tensor<f32>, tensor<ui8>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Tests that scales of blocks are read at the place divided by their length.
// CHECK-LABEL: func.func @blocks(
// CHECK-SAME:      %{{.*}}: tensor<8x4xi8> {moe.type = i4}, %[[SCALES:.*]]: tensor<4x4xf32>
// CHECK:         %[[ROW:.*]] = linalg.index 0
// CHECK:         %[[BLOCK:.*]] = arith.divui %[[ROW]], %c2
// CHECK:         %[[COLUMN:.*]] = linalg.index 1
// CHECK:         tensor.extract %[[SCALES]][%[[BLOCK]], %[[COLUMN]]]
func.func @blocks(%x: tensor<8x4xi4>, %s: tensor<4x4xf32>) -> tensor<8x4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.DequantizeLinear(%x, %s, %none) {axis = 0 : i64, block_size = 2 : i64} : (tensor<8x4xi4>, tensor<4x4xf32>, none) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}

// -----

// Tests that quotients are rounded to even and bounded before they become integers.
// CHECK-LABEL: func.func @quantize(
// CHECK-DAG:     %[[LOW:.*]] = arith.constant -1.280000e+02 : f32
// CHECK-DAG:     %[[HIGH:.*]] = arith.constant 1.270000e+02 : f32
// CHECK:         arith.divf
// CHECK:         math.roundeven
// CHECK:         arith.maximumf %{{.*}}, %[[LOW]]
// CHECK:         arith.minimumf %{{.*}}, %[[HIGH]]
// CHECK:         arith.fptosi %{{.*}} : f32 to i32
func.func @quantize(%x: tensor<2x4xf32>, %s: tensor<4xf32>, %z: tensor<4xi8>) -> tensor<2x4xi8> {
  %y = onnx.QuantizeLinear(%x, %s, %z) : (tensor<2x4xf32>, tensor<4xf32>, tensor<4xi8>) -> tensor<2x4xi8>
  return %y : tensor<2x4xi8>
}
