// RUN: moe-opt --convert-onnx-to-linalg --canonicalize %s | FileCheck %s

// Tests that the momentum is the old one and the gradient, and that the tensor moves along it.
// CHECK-LABEL: func.func @momentum
// CHECK: linalg.generic
// CHECK: arith.subf
// CHECK: linalg.generic
func.func @momentum(%r: tensor<f32>, %t: tensor<i64>, %x: tensor<2xf32>, %g: tensor<2xf32>, %v: tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>) {
  %y:2 = onnx.ai.onnx.preview.training.Momentum(%r, %t, %x, %g, %v) {alpha = 0.9 : f32, beta = 1.0 : f32, mode = "standard", norm_coefficient = 0.0 : f32}
      : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> (tensor<2xf32>, tensor<2xf32>)
  return %y#0, %y#1 : tensor<2xf32>, tensor<2xf32>
}
