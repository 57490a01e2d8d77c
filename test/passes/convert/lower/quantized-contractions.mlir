// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that zero points are subtracted from integers of 32 bits before they are multiplied.
// CHECK-LABEL: func.func @matmul
// CHECK: arith.extui %{{.*}} : i8 to i32
// CHECK: arith.subi
// CHECK: arith.extsi %{{.*}} : i8 to i32
// CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<2x4xi32>, tensor<4x3xi32>)
func.func @matmul(%a: tensor<2x4xui8>, %b: tensor<4x3xi8>, %zero: tensor<ui8>) -> tensor<2x3xi32> {
  %none = onnx.NoValue : none
  %y = onnx.MatMulInteger(%a, %b, %zero, %none) : (tensor<2x4xui8>, tensor<4x3xi8>, tensor<ui8>, none) -> tensor<2x3xi32>
  return %y : tensor<2x3xi32>
}

// -----

// Tests that the sums of a convolution are scaled for each filter, rounded to even and kept in the range of the result.
// CHECK-LABEL: func.func @conv
// CHECK-DAG: arith.constant -1.280000e+02 : f32
// CHECK-DAG: arith.constant 1.270000e+02 : f32
// CHECK: linalg.generic
// CHECK: arith.muli
// CHECK: ins({{.*}} : tensor<1x2x3xi32>, tensor<f32>, tensor<1x2x1xf32>, tensor<f32>, tensor<i8>)
// CHECK: math.roundeven
// CHECK: arith.maxnumf
// CHECK: arith.minnumf
// CHECK: arith.fptosi
func.func @conv(%x: tensor<1x1x4xi8>, %w: tensor<2x1x2xi8>, %xs: tensor<f32>, %ws: tensor<2xf32>, %ys: tensor<f32>, %z: tensor<i8>, %wz: tensor<2xi8>) -> tensor<1x2x3xi8> {
  %none = onnx.NoValue : none
  %y = onnx.QLinearConv(%x, %xs, %z, %w, %ws, %wz, %ys, %z, %none)
      : (tensor<1x1x4xi8>, tensor<f32>, tensor<i8>, tensor<2x1x2xi8>, tensor<2xf32>, tensor<2xi8>, tensor<f32>, tensor<i8>, none) -> tensor<1x2x3xi8>
  return %y : tensor<1x2x3xi8>
}
