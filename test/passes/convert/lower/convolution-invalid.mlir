// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that the kernel fits the padded input.
func.func @kernel(%x: tensor<1x4x2xf32>, %w: tensor<4x4x3xf32>) -> tensor<1x4x1xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected a padded extent of at least 3, got 2}}
  %y = onnx.Conv(%x, %w, %none) : (tensor<1x4x2xf32>, tensor<4x4x3xf32>, none) -> tensor<1x4x1xf32>
  return %y : tensor<1x4x1xf32>
}

// -----

// Tests that packed weights are of a supported width.
func.func @bits(%a: tensor<?x32xf32>, %b: tensor<4x2x8xui8>, %s: tensor<8xf32>) -> tensor<?x4xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected 'bits' 2, 4 or 8 and positive sizes, got 3}}
  %y = onnx.com.microsoft.MatMulNBits(%a, %b, %s, %none, %none, %none) {K = 32 : i64, N = 4 : i64, bits = 3 : i64, block_size = 16 : i64}
       : (tensor<?x32xf32>, tensor<4x2x8xui8>, tensor<8xf32>, none, none, none) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Tests that the weights have the channels of the input.
func.func @channels(%x: tensor<1x4x8xf32>, %w: tensor<4x2x3xf32>) -> tensor<1x4x6xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected 2 channels, got 4}}
  %y = onnx.Conv(%x, %w, %none) : (tensor<1x4x8xf32>, tensor<4x2x3xf32>, none) -> tensor<1x4x6xf32>
  return %y : tensor<1x4x6xf32>
}
