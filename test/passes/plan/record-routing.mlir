// RUN: moe-opt %s -split-input-file -moe-record-routing | FileCheck %s

// Tests that the ids of a fused router and of one that was kept as ordinary operations reach the runtime, numbered in
// program order, and that one declaration serves all layers of the same types.

// CHECK-LABEL: func.func private @moert_record_routing_i64_f16(i64, i64, tensor<?x?xi64> {bufferization.access = "read"}, tensor<?x?xf16> {bufferization.access = "read"})
// CHECK: func.func private @moert_record_routing_i32_f32(i64, i64, tensor<?x?xi32> {bufferization.access = "read"}, tensor<?x?xf32> {bufferization.access = "read"})
// CHECK-LABEL: func @main
// CHECK-SAME: %{{.*}}: tensor<?x64xf32>, %{{.*}}: tensor<?x8xf32>, %[[KEPT:[a-z0-9]+]]: tensor<4x2xi64>
func.func @main(%x: tensor<?x64xf32>, %logits: tensor<?x8xf32>, %ids: tensor<4x2xi64>, %w: tensor<4x2xf16>,
                %h: tensor<4x64xf16>, %up: tensor<8x64x32xf32>, %down: tensor<8x32x64xf32>,
                %up16: tensor<6x64x32xf16>, %down16: tensor<6x32x64xf16>) -> (tensor<?x64xf32>, tensor<4x64xf16>) {
  // CHECK: %[[IDS:.*]], %[[WEIGHTS:.*]], %{{.*}}, %{{.*}} = moe.route_permute
  %i, %weights, %rows, %offsets = moe.route_permute %logits top_k(2)
      : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32>
  // CHECK-DAG: %[[FIRST:.*]] = arith.constant 0 : i64
  // CHECK-DAG: %[[EIGHT:.*]] = arith.constant 8 : i64
  // CHECK-DAG: %[[IDS_D:.*]] = tensor.cast %[[IDS]] : tensor<?x2xi32> to tensor<?x?xi32>
  // CHECK-DAG: %[[WEIGHTS_D:.*]] = tensor.cast %[[WEIGHTS]] : tensor<?x2xf32> to tensor<?x?xf32>
  // CHECK: call @moert_record_routing_i32_f32(%[[FIRST]], %[[EIGHT]], %[[IDS_D]], %[[WEIGHTS_D]])
  // CHECK-NEXT: moe.fused_ffn
  %y = moe.fused_ffn %x, %weights, %rows, %offsets up(%up : tensor<8x64x32xf32>) down(%down : tensor<8x32x64xf32>)
         {activation = #moe.activation<relu>}
         : tensor<?x64xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32> -> tensor<?x64xf32>
  %r, %o = moe.permute %ids {experts = 6} : tensor<4x2xi64> -> tensor<8xi32>, tensor<7xi32>
  // CHECK: %[[SECOND:.*]] = arith.constant 1 : i64
  // CHECK: %[[SIX:.*]] = arith.constant 6 : i64
  // CHECK: %[[KEPT_D:.*]] = tensor.cast %[[KEPT]]
  // CHECK: call @moert_record_routing_i64_f16(%[[SECOND]], %[[SIX]], %[[KEPT_D]], %{{.*}})
  %z = moe.fused_ffn %h, %w, %r, %o up(%up16 : tensor<6x64x32xf16>) down(%down16 : tensor<6x32x64xf16>)
         {activation = #moe.activation<relu>}
         : tensor<4x64xf16>, tensor<4x2xf16>, tensor<8xi32>, tensor<7xi32> -> tensor<4x64xf16>
  return %y, %z : tensor<?x64xf32>, tensor<4x64xf16>
}

// -----

// Tests that an order from elsewhere, whose ids nobody knows, is left alone.

// CHECK-NOT: moert_record_routing
func.func @main(%x: tensor<?x64xf32>, %w: tensor<?x2xf32>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>,
                %up: tensor<8x64x32xf32>, %down: tensor<8x32x64xf32>) -> tensor<?x64xf32> {
  %y = moe.fused_ffn %x, %w, %rows, %offsets up(%up : tensor<8x64x32xf32>) down(%down : tensor<8x32x64xf32>)
         {activation = #moe.activation<relu>}
         : tensor<?x64xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
