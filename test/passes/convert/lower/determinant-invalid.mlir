// RUN: moe-opt --convert-onnx-to-linalg --verify-diagnostics %s

// Tests that the operand holds matrices.
func.func @det(%x: tensor<3xf32>) -> tensor<f32> {
  // expected-error @below {{expected matrices, got 'tensor<3xf32>'}}
  %y = onnx.Det(%x) : (tensor<3xf32>) -> tensor<f32>
  return %y : tensor<f32>
}
