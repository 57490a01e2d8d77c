// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that rows are compared with each other, that their number is counted, and that the result has as many.
// CHECK-LABEL: func.func @unique
// CHECK: arith.cmpi slt
// CHECK: tensor.empty(%{{.*}}) : tensor<?xi64>
// CHECK: tensor.insert
// CHECK: return %{{.*}} : tensor<?x3xi32>
func.func @unique(%x: tensor<4x3xi32>) -> tensor<?x3xi32> {
  %y, %i, %j, %c = onnx.Unique(%x) {axis = 0 : i64} : (tensor<4x3xi32>) -> (tensor<?x3xi32>, none, none, none)
  return %y : tensor<?x3xi32>
}

// -----

// Tests that lengths are checked before sequences are turned around.
// CHECK-LABEL: func.func @reverse
// CHECK-COUNT-2: cf.assert %{{.*}}, "ReverseSequence: a length is out of range"
// CHECK: linalg.generic
// CHECK: tensor.extract %{{.*}} : tensor<4x2xf32>
func.func @reverse(%x: tensor<4x2xf32>, %n: tensor<2xi64>) -> tensor<4x2xf32> {
  %y = onnx.ReverseSequence(%x, %n) : (tensor<4x2xf32>, tensor<2xi64>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}
