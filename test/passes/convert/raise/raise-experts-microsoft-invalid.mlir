// RUN: moe-opt %s --moe-raise-experts -split-input-file -verify-diagnostics

// Tests that a layer which cannot be is an error with the numbers that contradict each other.

func.func @more_chosen_than_experts(%x: tensor<?x4xf32>, %z: tensor<?x8xf32>, %w1: tensor<8x6x4xf32>, %w2: tensor<8x4x6xf32>) -> tensor<?x4xf32> {
  %none = onnx.NoValue : none
  // expected-error @+1 {{expected attribute 'k' in [1, 8], got 9}}
  %y = onnx.com.microsoft.MoE(%x, %z, %w1, %none, %w2, %none, %none, %none) {k = 9 : i64}
    : (tensor<?x4xf32>, tensor<?x8xf32>, tensor<8x6x4xf32>, none, tensor<8x4x6xf32>, none, none, none) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @other_experts(%x: tensor<?x4xf32>, %z: tensor<?x8xf32>, %w1: tensor<8x6x4xf32>, %w2: tensor<7x4x6xf32>) -> tensor<?x4xf32> {
  %none = onnx.NoValue : none
  // expected-error @+1 {{expected one number of experts, got 8 in fc1_experts_weights, 7 in fc2_experts_weights and 8 in router_probs}}
  %y = onnx.com.microsoft.MoE(%x, %z, %w1, %none, %w2, %none, %none, %none)
    : (tensor<?x4xf32>, tensor<?x8xf32>, tensor<8x6x4xf32>, none, tensor<7x4x6xf32>, none, none, none) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

func.func @other_width(%x: tensor<?x5xf32>, %z: tensor<?x8xf32>, %w1: tensor<8x6x4xf32>, %w2: tensor<8x4x6xf32>) -> tensor<?x5xf32> {
  %none = onnx.NoValue : none
  // expected-error @+1 {{expected the width 5 of the input in both weights, got 4 in fc1_experts_weights and 4 in fc2_experts_weights}}
  %y = onnx.com.microsoft.MoE(%x, %z, %w1, %none, %w2, %none, %none, %none)
    : (tensor<?x5xf32>, tensor<?x8xf32>, tensor<8x6x4xf32>, none, tensor<8x4x6xf32>, none, none, none) -> tensor<?x5xf32>
  return %y : tensor<?x5xf32>
}

// -----

func.func @odd_swiglu(%x: tensor<?x4xf32>, %z: tensor<?x8xf32>, %w1: tensor<8x7x4xf32>, %w2: tensor<8x4x3xf32>) -> tensor<?x4xf32> {
  %none = onnx.NoValue : none
  // expected-error @+1 {{expected 6 outputs in fc1_experts_weights for the inner width 3, got 7}}
  %y = onnx.com.microsoft.MoE(%x, %z, %w1, %none, %w2, %none, %none, %none) {swiglu_fusion = 1 : i64}
    : (tensor<?x4xf32>, tensor<?x8xf32>, tensor<8x7x4xf32>, none, tensor<8x4x3xf32>, none, none, none) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
