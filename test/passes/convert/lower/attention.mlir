// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that heads share their keys as rows of one product, that a query sees
// no later key, and that a query without keys gives zero.
// CHECK-LABEL: func.func @attention
// CHECK: linalg.transpose ins(%{{.*}} : tensor<2x3x5x8xf32>) outs(%{{.*}} : tensor<2x3x8x5xf32>)
// CHECK: linalg.batch_matmul ins(%{{.*}}, %{{.*}} : tensor<6x10x8xf32>, tensor<6x8x5xf32>)
// CHECK: %[[QUERY:.*]] = linalg.index 2
// CHECK: %[[KEY:.*]] = linalg.index 3
// CHECK: arith.cmpi sle, %[[KEY]], %[[QUERY]]
// CHECK: arith.cmpf oeq
// CHECK: linalg.batch_matmul ins(%{{.*}}, %{{.*}} : tensor<6x10x5xf32>, tensor<6x5x8xf32>)
func.func @attention(%q: tensor<2x6x5x8xf32>, %k: tensor<2x3x5x8xf32>, %v: tensor<2x3x5x8xf32>) -> tensor<2x6x5x8xf32> {
  %none = onnx.NoValue : none
  %y, %pk, %pv, %qk = onnx.Attention(%q, %k, %v, %none, %none, %none, %none) {is_causal = 1 : i64}
      : (tensor<2x6x5x8xf32>, tensor<2x3x5x8xf32>, tensor<2x3x5x8xf32>, none, none, none, none)
        -> (tensor<2x6x5x8xf32>, none, none, none)
  return %y : tensor<2x6x5x8xf32>
}

// -----

// Tests that the past comes first and that unbounded windows exclude no key.
// CHECK-LABEL: func.func @attention_with_past
// CHECK: tensor.insert_slice
// CHECK: tensor.insert_slice
// CHECK-NOT: arith.cmpi sle
// CHECK: return
func.func @attention_with_past(%q: tensor<1x2x1x8xf32>, %past: tensor<1x2x?x8xf32>) -> (tensor<1x2x1x8xf32>, tensor<1x2x?x8xf32>) {
  %none = onnx.NoValue : none
  %y, %pk, %pv, %qk = onnx.Attention(%q, %q, %q, %none, %past, %past, %none)
      : (tensor<1x2x1x8xf32>, tensor<1x2x1x8xf32>, tensor<1x2x1x8xf32>, none, tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>, none)
        -> (tensor<1x2x1x8xf32>, tensor<1x2x?x8xf32>, tensor<1x2x?x8xf32>, none)
  return %y, %pk : tensor<1x2x1x8xf32>, tensor<1x2x?x8xf32>
}

// -----

// Tests that new keys are written behind those of each batch entry, and the
// window of a query.
// CHECK-LABEL: func.func @group_query_attention
// CHECK: cf.assert %{{.*}}, "index out of range"
// CHECK: scf.for %[[ENTRY:[a-z0-9]+]] =
// CHECK: %[[LENGTH:.*]] = tensor.extract %{{.*}}[%[[ENTRY]]] : tensor<?xindex>
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[%[[ENTRY]], 0, %[[LENGTH]], 0]
// CHECK: linalg.batch_matmul
// CHECK: arith.cmpi slt
// CHECK: arith.cmpi sle
// CHECK: arith.cmpi sgt
func.func @group_query_attention(%qkv: tensor<?x?x64xf32>, %past: tensor<?x2x?x8xf32>, %lengths: tensor<?xi32>, %total: tensor<i32>)
    -> (tensor<?x?x32xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>) {
  %none = onnx.NoValue : none
  %y, %pk, %pv, %qk = onnx.com.microsoft.GroupQueryAttention(%qkv, %none, %none, %past, %past, %lengths, %total, %none, %none, %none, %none, %none,
                                                             %none, %none, %none, %none)
      {kv_num_heads = 2 : i64, num_heads = 4 : i64, local_window_size = 16 : i64}
      : (tensor<?x?x64xf32>, none, none, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, tensor<?xi32>, tensor<i32>, none, none, none, none, none,
         none, none, none, none)
        -> (tensor<?x?x32xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>, none)
  return %y, %pk, %pv : tensor<?x?x32xf32>, tensor<?x2x?x8xf32>, tensor<?x2x?x8xf32>
}

// -----

// Tests the rotation of halves with positions that are checked.
// CHECK-LABEL: func.func @rotary_embedding
// CHECK: cf.assert %{{.*}}, "index out of range"
// CHECK: arith.cmpi slt, %{{.*}}, %c4
// CHECK: %[[MINUS:.*]] = arith.subf %[[STRAIGHT:.*]], %[[CROSSED:.*]] : f32
// CHECK: %[[PLUS:.*]] = arith.addf %[[STRAIGHT]], %[[CROSSED]] : f32
// CHECK: arith.select %{{.*}}, %[[MINUS]], %[[PLUS]]
func.func @rotary_embedding(%x: tensor<?x?x16xf32>, %p: tensor<?x?xi64>, %c: tensor<32x4xf32>, %s: tensor<32x4xf32>) -> tensor<?x?x16xf32> {
  %y = onnx.com.microsoft.RotaryEmbedding(%x, %p, %c, %s) {num_heads = 2 : i64}
       : (tensor<?x?x16xf32>, tensor<?x?xi64>, tensor<32x4xf32>, tensor<32x4xf32>) -> tensor<?x?x16xf32>
  return %y : tensor<?x?x16xf32>
}

// -----

// Tests that queries and keys are normalised before they are cached, and that without causality only the length of a
// sequence limits what a query sees.
// CHECK-LABEL: func.func @normalised_heads
// CHECK: math.sqrt
// CHECK: math.sqrt
// CHECK: tensor.insert_slice
// CHECK: linalg.batch_matmul
// CHECK: arith.cmpi slt
// CHECK-NOT: arith.cmpi sle
// CHECK: return
func.func @normalised_heads(%qkv: tensor<1x4x64xf32>, %lengths: tensor<1xi32>, %weight: tensor<8xf32>) -> tensor<1x4x32xf32> {
  %none = onnx.NoValue : none
  %total = onnx.Constant() {value = dense<4> : tensor<i32>} : () -> tensor<i32>
  %y, %pk, %pv, %qk = onnx.com.microsoft.GroupQueryAttention(%qkv, %none, %none, %none, %none, %lengths, %total, %none, %none, %none, %none, %none,
                                                             %none, %none, %weight, %weight)
      {kv_num_heads = 2 : i64, num_heads = 4 : i64, causal = 0 : i64}
      : (tensor<1x4x64xf32>, none, none, none, none, tensor<1xi32>, tensor<i32>, none, none, none, none, none,
         none, none, tensor<8xf32>, tensor<8xf32>)
        -> (tensor<1x4x32xf32>, none, none, none)
  return %y : tensor<1x4x32xf32>
}
