// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that no axis is inserted twice.
func.func @twice(%x: tensor<4xf32>) -> tensor<1x1x4xf32> {
  %axes = onnx.Constant() {value = dense<0> : tensor<2xi64>} : () -> tensor<2xi64>
  // expected-error @below {{expected 2 distinct axes, got 1}}
  %y = onnx.Unsqueeze(%x, %axes) : (tensor<4xf32>, tensor<2xi64>) -> tensor<1x1x4xf32>
  return %y : tensor<1x1x4xf32>
}

// -----

// Tests that the result has the dimensions that are left.
func.func @rank(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %axes = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  // expected-error @below {{expected a result of rank 1, got 2}}
  %y = onnx.Squeeze(%x, %axes) : (tensor<1x4xf32>, tensor<1xi64>) -> tensor<1x4xf32>
  return %y : tensor<1x4xf32>
}
