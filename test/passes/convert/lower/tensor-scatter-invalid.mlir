// RUN: moe-opt --convert-onnx-to-linalg %s -verify-diagnostics

// Tests that the axis of the sequence is behind the batch.
func.func @axis(%x: tensor<3x8x4xf32>, %u: tensor<3x2x4xf32>) -> tensor<3x8x4xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected a cache and an update of one rank with the batch in front of the axis}}
  %y = onnx.TensorScatter(%x, %u, %none) {axis = 0 : i64} : (tensor<3x8x4xf32>, tensor<3x2x4xf32>, none) -> tensor<3x8x4xf32>
  return %y : tensor<3x8x4xf32>
}
