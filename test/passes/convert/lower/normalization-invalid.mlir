// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that the axis is within the rank.
func.func @axis(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expected an axis in [-2, 1], got 2}}
  %y = onnx.Softmax(%x) {axis = 2 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

// Tests that instances have spatial dimensions.
func.func @instance_rank(%x: tensor<2x3xf32>, %s: tensor<3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expected an input of rank 3 or higher, got 2}}
  %y = onnx.InstanceNormalization(%x, %s, %s) : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

// Tests that another norm than the first and the second is an error.
func.func @norm(%x: tensor<2x5xf32>) -> tensor<2x5xf32> {
  // expected-error @+1 {{expected 'p' to be 1 or 2, got 3}}
  %y = onnx.LpNormalization(%x) {p = 3 : i64} : (tensor<2x5xf32>) -> tensor<2x5xf32>
  return %y : tensor<2x5xf32>
}
