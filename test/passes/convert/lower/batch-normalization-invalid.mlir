// RUN: moe-opt --convert-onnx-to-linalg --split-input-file --verify-diagnostics %s

// Tests that there is a dimension of channels.
func.func @rank(%x: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @below {{expected an input of rank 2 or higher, got 1}}
  %y:3 = onnx.BatchNormalization(%x, %x, %x, %x, %x)
      : (tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<3xf32>, none, none)
  return %y#0 : tensor<3xf32>
}

// -----

// Tests that only training has running statistics.
func.func @running(%x: tensor<2x3xf32>, %v: tensor<3xf32>) -> tensor<3xf32> {
  // expected-error @below {{expected 'training_mode' with running results}}
  %y:3 = onnx.BatchNormalization(%x, %v, %v, %v, %v)
      : (tensor<2x3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<2x3xf32>, tensor<3xf32>, none)
  return %y#1 : tensor<3xf32>
}

// -----

// Tests that a window has channels.
func.func @window(%x: tensor<2x5x4xf32>) -> tensor<2x5x4xf32> {
  // expected-error @below {{expected an input of rank 2 or higher and a positive 'size', got 'tensor<2x5x4xf32>' and 0}}
  %y = onnx.LRN(%x) {size = 0 : i64} : (tensor<2x5x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}
