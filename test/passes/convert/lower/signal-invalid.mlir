// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that numbers are real or complex.
func.func @components(%x: tensor<2x8x3xf32>) -> tensor<2x8x2xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected an input of rank 2 or higher whose last dimension is 1 or 2}}
  %y = onnx.DFT(%x, %none, %none) : (tensor<2x8x3xf32>, none, none) -> tensor<2x8x2xf32>
  return %y : tensor<2x8x2xf32>
}

// -----

// Tests that frames move on.
func.func @step(%x: tensor<1x16x1xf32>, %window: tensor<8xf32>) -> tensor<1x?x5x2xf32> {
  %none = onnx.NoValue : none
  %step = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  // expected-error @below {{expected a positive 'frame_step', got 0}}
  %y = onnx.STFT(%x, %step, %window, %none) : (tensor<1x16x1xf32>, tensor<i64>, tensor<8xf32>, none) -> tensor<1x?x5x2xf32>
  return %y : tensor<1x?x5x2xf32>
}
