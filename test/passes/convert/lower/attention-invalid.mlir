// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that operands of rank 3 need numbers of heads.
func.func @attention_heads(%q: tensor<2x5x8xf32>) -> tensor<2x5x8xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected 'q_num_heads' and 'kv_num_heads' for operands of rank 3}}
  %y, %pk, %pv, %qk = onnx.Attention(%q, %q, %q, %none, %none, %none, %none)
      : (tensor<2x5x8xf32>, tensor<2x5x8xf32>, tensor<2x5x8xf32>, none, none, none, none) -> (tensor<2x5x8xf32>, none, none, none)
  return %y : tensor<2x5x8xf32>
}

// -----

// Tests that every key head serves the same number of heads.
func.func @shared_heads(%q: tensor<?x?x40xf32>, %lengths: tensor<?xi32>, %total: tensor<i32>) -> tensor<?x?x24xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected 'num_heads' divisible by 'kv_num_heads', got 3 and 2}}
  %y, %pk, %pv = onnx.com.microsoft.GroupQueryAttention(%q, %none, %none, %none, %none, %lengths, %total, %none, %none, %none, %none, %none)
      {kv_num_heads = 2 : i64, num_heads = 3 : i64}
      : (tensor<?x?x40xf32>, none, none, none, none, tensor<?xi32>, tensor<i32>, none, none, none, none, none) -> (tensor<?x?x24xf32>, none, none)
  return %y : tensor<?x?x24xf32>
}
