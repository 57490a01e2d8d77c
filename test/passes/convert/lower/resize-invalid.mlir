// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that the new extents are stated once.
func.func @twice(%x: tensor<1x1x2xf32>, %scales: tensor<3xf32>, %sizes: tensor<3xi64>) -> tensor<1x1x4xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected either 'scales' or 'sizes'}}
  %y = onnx.Resize(%x, %none, %scales, %sizes) : (tensor<1x1x2xf32>, none, tensor<3xf32>, tensor<3xi64>) -> tensor<1x1x4xf32>
  return %y : tensor<1x1x4xf32>
}

// -----

// Tests that there is a scale for each dimension.
func.func @count(%x: tensor<1x1x2xf32>, %scales: tensor<2xf32>) -> tensor<1x1x4xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected 3 elements of 'scales'}}
  %y = onnx.Resize(%x, %none, %scales, %none) : (tensor<1x1x2xf32>, none, tensor<2xf32>, none) -> tensor<1x1x4xf32>
  return %y : tensor<1x1x4xf32>
}

// -----

// Tests that the mode is known.
func.func @mode(%x: tensor<1x1x2xf32>, %scales: tensor<3xf32>) -> tensor<1x1x4xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected 'mode' nearest, linear, cubic, got 'lanczos'}}
  %y = onnx.Resize(%x, %none, %scales, %none) {mode = "lanczos"} : (tensor<1x1x2xf32>, none, tensor<3xf32>, none) -> tensor<1x1x4xf32>
  return %y : tensor<1x1x4xf32>
}
