// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that the window has as many dimensions as the input.
func.func @rank(%x: tensor<1x1x4x4xf32>) -> tensor<1x1x3x3xf32> {
  // expected-error @below {{expected a known kernel, and positive strides, dilations and pads for 2 spatial dimensions}}
  %y = onnx.AveragePool(%x) {kernel_shape = array<i64: 2>} : (tensor<1x1x4x4xf32>) -> tensor<1x1x3x3xf32>
  return %y : tensor<1x1x3x3xf32>
}

// -----

// Tests that the window fits the input.
func.func @reach(%x: tensor<1x1x2xf32>) -> tensor<1x1x1xf32> {
  // expected-error @below {{expected a padded extent of at least 3, got 2}}
  %y, %i = onnx.MaxPool(%x) {kernel_shape = array<i64: 3>} : (tensor<1x1x2xf32>) -> (tensor<1x1x1xf32>, none)
  return %y : tensor<1x1x1xf32>
}

// -----

// Tests that a norm has a positive exponent.
func.func @norm(%x: tensor<1x1x2xf32>) -> tensor<1x1x1xf32> {
  // expected-error @below {{expected a positive 'p', got 0}}
  %y = onnx.LpPool(%x) {kernel_shape = array<i64: 2>, p = 0 : i64} : (tensor<1x1x2xf32>) -> tensor<1x1x1xf32>
  return %y : tensor<1x1x1xf32>
}
