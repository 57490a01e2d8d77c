// RUN: moe-opt %s -split-input-file -convert-onnx-to-linalg -verify-diagnostics

// Tests that an axis outside the rank is an error.
func.func @axis(%x: tensor<4x4xf32>) -> tensor<4x1xf32> {
  %axes = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  // expected-error @+1 {{expected an axis in [-2, 1], got 2}}
  %y = onnx.ReduceSum(%x, %axes) : (tensor<4x4xf32>, tensor<1xi64>) -> tensor<4x1xf32>
  return %y : tensor<4x1xf32>
}

// -----

// Tests that all operators without lowering are named at once.
func.func @unsupported(%x: tensor<4xf32>, %i: tensor<i64>) -> tensor<4xf32> {
  // expected-error @+1 {{operator 'SequenceAt' is not supported by the compiler}}
  %y = onnx.SequenceAt(%x, %i) : (tensor<4xf32>, tensor<i64>) -> tensor<4xf32>
  // expected-error @+1 {{operator 'ConcatFromSequence' is not supported by the compiler}}
  %z = onnx.ConcatFromSequence(%y) {axis = 0 : i64} : (tensor<4xf32>) -> tensor<4xf32>
  return %z : tensor<4xf32>
}
