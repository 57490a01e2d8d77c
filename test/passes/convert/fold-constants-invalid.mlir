// RUN: moe-opt %s -split-input-file -moe-fold-onnx-constants | FileCheck %s

// Tests that operations whose shapes or types do not fit stay as they are.
// CHECK-LABEL: func.func @shapes(
// CHECK:         onnx.Add
// CHECK:         onnx.Concat
// CHECK:         onnx.Transpose
func.func @shapes() -> (tensor<3xi64>, tensor<4xi64>, tensor<2xi64>) {
  %two = onnx.Constant() {value = dense<[1, 2]> : tensor<2xi64>} : () -> tensor<2xi64>
  %three = onnx.Constant() {value = dense<[1, 2, 3]> : tensor<3xi64>} : () -> tensor<3xi64>
  %sum = onnx.Add(%two, %three) : (tensor<2xi64>, tensor<3xi64>) -> tensor<3xi64>
  %both = onnx.Concat(%two, %three) {axis = 0 : i64} : (tensor<2xi64>, tensor<3xi64>) -> tensor<4xi64>
  %turned = onnx.Transpose(%two) {perm = array<i64: 0, 0>} : (tensor<2xi64>) -> tensor<2xi64>
  return %sum, %both, %turned : tensor<3xi64>, tensor<4xi64>, tensor<2xi64>
}

// -----

// Tests that operands of different types are left to the lowering.
// CHECK-LABEL: func.func @types(
// CHECK:         onnx.Add
// CHECK:         onnx.Where
func.func @types() -> (tensor<i64>, tensor<i64>) {
  %integer = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %real = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %sum = onnx.Add(%integer, %real) : (tensor<i64>, tensor<f32>) -> tensor<i64>
  %one = onnx.Where(%real, %integer, %integer) : (tensor<f32>, tensor<i64>, tensor<i64>) -> tensor<i64>
  return %sum, %one : tensor<i64>, tensor<i64>
}
