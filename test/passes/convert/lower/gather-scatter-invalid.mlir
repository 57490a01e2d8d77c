// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that a constant index is within the extent.
func.func @constant_index(%data: tensor<5xf32>) -> tensor<2xf32> {
  %indices = onnx.Constant() {value = dense<[0, 5]> : tensor<2xi64>} : () -> tensor<2xi64>
  // expected-error @below {{expected indices in [-5, 4], got 5}}
  %y = onnx.Gather(%data, %indices) : (tensor<5xf32>, tensor<2xi64>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

// Tests that the number of index components is known.
func.func @tuple_length(%data: tensor<2x3xf32>, %indices: tensor<4x?xi64>) -> tensor<4x3xf32> {
  // expected-error @below {{expected indices with a last dimension of known extent, got 'tensor<4x?xi64>'}}
  %y = onnx.GatherND(%data, %indices) : (tensor<2x3xf32>, tensor<4x?xi64>) -> tensor<4x3xf32>
  return %y : tensor<4x3xf32>
}

// -----

// Tests that a reduction of the standard is asked for.
func.func @reduction(%data: tensor<4xf32>, %indices: tensor<2xi64>, %updates: tensor<2xf32>) -> tensor<4xf32> {
  // expected-error @below {{expected 'reduction' none, add, mul, max or min, got 'mean'}}
  %y = onnx.ScatterElements(%data, %indices, %updates) {reduction = "mean"} : (tensor<4xf32>, tensor<2xi64>, tensor<2xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
