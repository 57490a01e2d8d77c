// RUN: moe-opt %s -convert-onnx-to-linalg -verify-diagnostics

// Tests that blocks need scales of the rank of the input.
func.func @rank(%x: tensor<8x4xi8>, %s: tensor<4xf32>) -> tensor<8x4xf32> {
  %none = onnx.NoValue : none
  // expected-error @+1 {{expected a scale and a zero point of rank 2, got 'tensor<4xf32>'}}
  %y = onnx.DequantizeLinear(%x, %s, %none) {axis = 0 : i64, block_size = 2 : i64} : (tensor<8x4xi8>, tensor<4xf32>, none) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}
