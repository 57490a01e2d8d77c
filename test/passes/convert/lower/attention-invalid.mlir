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
  %y:4 = onnx.com.microsoft.GroupQueryAttention(%q, %none, %none, %none, %none, %lengths, %total, %none, %none, %none, %none, %none,
                                                %none, %none, %none, %none)
      {kv_num_heads = 2 : i64, num_heads = 3 : i64}
      : (tensor<?x?x40xf32>, none, none, none, none, tensor<?xi32>, tensor<i32>, none, none, none, none, none, none, none, none, none)
        -> (tensor<?x?x24xf32>, none, none, none)
  return %y#0 : tensor<?x?x24xf32>
}

// -----

// Tests that quantised caches are refused.
func.func @quantised_cache(%q: tensor<?x?x40xf32>, %lengths: tensor<?xi32>, %total: tensor<i32>, %scale: tensor<1xf32>) -> tensor<?x?x24xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected no 'k_scale' and 'v_scale': quantised caches of keys and values are not supported}}
  %y:4 = onnx.com.microsoft.GroupQueryAttention(%q, %none, %none, %none, %none, %lengths, %total, %none, %none, %none, %none, %none,
                                                %scale, %scale, %none, %none)
      {kv_num_heads = 1 : i64, num_heads = 3 : i64}
      : (tensor<?x?x40xf32>, none, none, none, none, tensor<?xi32>, tensor<i32>, none, none, none, none, none, tensor<1xf32>, tensor<1xf32>, none, none)
        -> (tensor<?x?x24xf32>, none, none, none)
  return %y#0 : tensor<?x?x24xf32>
}

// -----

// Tests that the products of queries and keys are no result.
func.func @products(%q: tensor<?x?x40xf32>, %lengths: tensor<?xi32>, %total: tensor<i32>) -> tensor<?x?x24xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected no result 'output_qk', which is not supported}}
  %y:4 = onnx.com.microsoft.GroupQueryAttention(%q, %none, %none, %none, %none, %lengths, %total, %none, %none, %none, %none, %none,
                                                %none, %none, %none, %none)
      {kv_num_heads = 1 : i64, num_heads = 3 : i64, qk_output = 1 : i64}
      : (tensor<?x?x40xf32>, none, none, none, none, tensor<?xi32>, tensor<i32>, none, none, none, none, none, none, none, none, none)
        -> (tensor<?x?x24xf32>, none, none, tensor<?x3x?x?xf32>)
  return %y#0 : tensor<?x?x24xf32>
}

// -----

// Tests that beams are refused.
func.func @beams(%q: tensor<?x?x32xf32>, %indirection: tensor<?x?x?xi32>) -> tensor<?x?x32xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected no 'past_sequence_length', 'cache_indirection' and 'qk', which are not supported}}
  %y:4 = onnx.com.microsoft.MultiHeadAttention(%q, %q, %q, %none, %none, %none, %none, %none, %none, %indirection) {num_heads = 4 : i64}
      : (tensor<?x?x32xf32>, tensor<?x?x32xf32>, tensor<?x?x32xf32>, none, none, none, none, none, none, tensor<?x?x?xi32>)
        -> (tensor<?x?x32xf32>, none, none, none)
  return %y#0 : tensor<?x?x32xf32>
}
