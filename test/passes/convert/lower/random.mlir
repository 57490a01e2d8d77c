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

// Tests that training drops elements and lets the others grow, and that a run drops nothing.
// CHECK-LABEL: func.func @dropout
// CHECK-SAME: %[[X:.*]]: tensor<4xf32>
// CHECK: arith.cmpf oge
// CHECK: arith.divf
// CHECK: return %{{.*}}, %[[X]] : tensor<4xf32>, tensor<4xf32>
func.func @dropout(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %none = onnx.NoValue : none
  %yes = onnx.Constant() {value = dense<true> : tensor<i1>} : () -> tensor<i1>
  %y:2 = onnx.Dropout(%x, %none, %yes) : (tensor<4xf32>, none, tensor<i1>) -> (tensor<4xf32>, none)
  %z:2 = onnx.Dropout(%x, %none, %none) : (tensor<4xf32>, none, none) -> (tensor<4xf32>, none)
  return %y#0, %z#0 : tensor<4xf32>, tensor<4xf32>
}
