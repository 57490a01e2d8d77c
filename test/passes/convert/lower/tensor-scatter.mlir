// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that the rows of an update are checked and then written at once.
// CHECK-LABEL: func.func @linear
// CHECK: cf.assert %{{.*}}, "TensorScatter: a row is written outside the cache"
// CHECK: scf.for
// CHECK: tensor.extract_slice %{{.*}} [1, 2, 1, 4] [1, 1, 1, 1]
// CHECK: tensor.insert_slice
func.func @linear(%x: tensor<3x2x?x4xf32>, %u: tensor<3x2x1x4xf32>, %i: tensor<3xi64>) -> tensor<3x2x?x4xf32> {
  %y = onnx.TensorScatter(%x, %u, %i) : (tensor<3x2x?x4xf32>, tensor<3x2x1x4xf32>, tensor<3xi64>) -> tensor<3x2x?x4xf32>
  return %y : tensor<3x2x?x4xf32>
}

// -----

// Tests that a circular cache continues at its beginning.
// CHECK-LABEL: func.func @circular
// CHECK: arith.remui
// CHECK: tensor.insert
func.func @circular(%x: tensor<3x8x4xf32>, %u: tensor<3x2x4xf32>, %i: tensor<3xi64>) -> tensor<3x8x4xf32> {
  %y = onnx.TensorScatter(%x, %u, %i) {mode = "circular"} : (tensor<3x8x4xf32>, tensor<3x2x4xf32>, tensor<3xi64>) -> tensor<3x8x4xf32>
  return %y : tensor<3x8x4xf32>
}
