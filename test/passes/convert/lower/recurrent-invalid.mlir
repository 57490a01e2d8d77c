// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that activations have names that are known.
func.func @activation(%x: tensor<5x2x4xf32>, %w: tensor<1x3x4xf32>, %r: tensor<1x3x3xf32>) -> tensor<1x2x3xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected an activation of the standard, such as Tanh, got 'Square'}}
  %y, %h = onnx.RNN(%x, %w, %r, %none, %none, %none) {activations = ["Square"]}
      : (tensor<5x2x4xf32>, tensor<1x3x4xf32>, tensor<1x3x3xf32>, none, none, none) -> (none, tensor<1x2x3xf32>)
  return %h : tensor<1x2x3xf32>
}

// -----

// Tests that both directions have weights.
func.func @directions(%x: tensor<5x2x4xf32>, %w: tensor<1x3x4xf32>, %r: tensor<1x3x3xf32>) -> tensor<2x2x3xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected weights of 2 directions and a known hidden size}}
  %y, %h = onnx.RNN(%x, %w, %r, %none, %none, %none) {direction = "bidirectional"}
      : (tensor<5x2x4xf32>, tensor<1x3x4xf32>, tensor<1x3x3xf32>, none, none, none) -> (none, tensor<2x2x3xf32>)
  return %h : tensor<2x2x3xf32>
}

// -----

// Tests that the weights of a GRU are those of three gates.
func.func @gates(%x: tensor<5x2x4xf32>, %w: tensor<1x3x4xf32>, %r: tensor<1x3x3xf32>) -> tensor<1x2x3xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected weights of 9 rows for each direction}}
  %y, %h = onnx.GRU(%x, %w, %r, %none, %none, %none)
      : (tensor<5x2x4xf32>, tensor<1x3x4xf32>, tensor<1x3x3xf32>, none, none, none) -> (none, tensor<1x2x3xf32>)
  return %h : tensor<1x2x3xf32>
}

// -----

// Tests that there is an initial state for each row of the batch.
func.func @state(%x: tensor<5x2x4xf32>, %w: tensor<1x3x4xf32>, %r: tensor<1x3x3xf32>, %h: tensor<1x1x3xf32>) -> tensor<1x2x3xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected an extent of 2, got 1 in 'tensor<1x1x3xf32>'}}
  %y, %z = onnx.RNN(%x, %w, %r, %none, %none, %h)
      : (tensor<5x2x4xf32>, tensor<1x3x4xf32>, tensor<1x3x3xf32>, none, none, tensor<1x1x3xf32>) -> (none, tensor<1x2x3xf32>)
  return %z : tensor<1x2x3xf32>
}
