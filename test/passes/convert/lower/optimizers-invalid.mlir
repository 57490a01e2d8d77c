// RUN: moe-opt --convert-onnx-to-linalg %s -verify-diagnostics

// Tests that every tensor has a gradient and a state.
func.func @count(%r: tensor<f32>, %t: tensor<i64>, %x: tensor<2xf32>, %g: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error @below {{expected rate, count and 3 operands for each trained tensor, got 4 operands and 1 results}}
  %y = onnx.ai.onnx.preview.training.Adagrad(%r, %t, %x, %g) : (tensor<f32>, tensor<i64>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}
