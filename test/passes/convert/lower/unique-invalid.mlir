// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that the axis is one of the input.
func.func @axis(%x: tensor<4x3xi32>) -> tensor<?x3xi32> {
  // expected-error @below {{expected an axis in [-2, 1], got 2}}
  %y, %i, %j, %c = onnx.Unique(%x) {axis = 2 : i64} : (tensor<4x3xi32>) -> (tensor<?x3xi32>, none, none, none)
  return %y : tensor<?x3xi32>
}

// -----

// Tests that batch and time are different dimensions.
func.func @same(%x: tensor<4x2xf32>, %n: tensor<2xi64>) -> tensor<4x2xf32> {
  // expected-error @below {{expected different axes for batch and time}}
  %y = onnx.ReverseSequence(%x, %n) {batch_axis = 0 : i64} : (tensor<4x2xf32>, tensor<2xi64>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}
