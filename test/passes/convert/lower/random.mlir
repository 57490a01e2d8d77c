// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --cse %s | FileCheck %s

// Tests that each number is a hash of its place and the seed, and that two nodes without a seed draw different numbers.
// CHECK-LABEL: func.func @uniform
// CHECK-DAG: arith.constant -7046029254386353131 : i64
// CHECK-COUNT-2: linalg.generic
func.func @uniform(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %y = onnx.RandomUniformLike(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32> loc("first")
  %z = onnx.RandomUniformLike(%x) : (tensor<?x4xf32>) -> tensor<?x4xf32> loc("second")
  return %y, %z : tensor<?x4xf32>, tensor<?x4xf32>
}

// Tests that normal numbers are made of two uniform ones.
// CHECK-LABEL: func.func @normal
// CHECK: math.log
// CHECK: math.sqrt
// CHECK: math.cos
func.func @normal() -> tensor<2x3xf16> {
  %y = onnx.RandomNormal() {dtype = 10 : i64, seed = 1.0 : f32, shape = array<i64: 2, 3>} : () -> tensor<2x3xf16>
  return %y : tensor<2x3xf16>
}
