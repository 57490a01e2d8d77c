// RUN: moe-opt %s --moe-fuse-experts | FileCheck %s

// Tests that experts use the permutation of the router that chose their ids.

// CHECK-LABEL: func @of_a_router
func.func @of_a_router(%x: tensor<?x4xf32>, %z: tensor<?x8xf32>, %up: tensor<8x4x6xf32>, %down: tensor<8x6x4xf32>) -> tensor<?x4xf32> {
  // CHECK: %{{.*}}, %[[WEIGHTS:.*]], %[[ROWS:.*]], %[[OFFSETS:.*]] = moe.route_permute
  // CHECK-NOT: moe.permute
  // CHECK: moe.fused_ffn %{{.*}}, %[[WEIGHTS]], %[[ROWS]], %[[OFFSETS]] up(
  // CHECK-SAME: activation = #moe.activation<relu>
  %ids, %w, %rows, %offsets = moe.route_permute %z top_k(2) : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32>
  %r = moe.assign %ids, %w : tensor<?x2xi32>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
  %y = moe.experts %x, %r up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x6x4xf32>) {activation = #moe.activation<relu>}
         : tensor<?x4xf32>, !moe.routing<?x2 of 8> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// Tests that a router which stays as ordinary operations gets a permutation of its own, one for all its users.

// CHECK-LABEL: func @of_any_ids
// CHECK-SAME: %[[IDS:[a-z0-9]*]]: tensor<?x2xi64>
func.func @of_any_ids(%ids: tensor<?x2xi64>, %w: tensor<?x2xf32>, %x: tensor<?x4xf32>, %up: tensor<8x4x6xf32>, %down: tensor<8x6x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  // CHECK: %[[ROWS:.*]], %[[OFFSETS:.*]] = moe.permute %[[IDS]] {experts = 8 : i64}
  // CHECK-NOT: moe.permute
  // CHECK-COUNT-2: moe.fused_ffn {{.*}}, %[[ROWS]], %[[OFFSETS]] up(
  // CHECK-NOT: moe.assign
  %r = moe.assign %ids, %w : tensor<?x2xi64>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
  %y = moe.experts %x, %r up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x6x4xf32>) {activation = #moe.activation<relu>}
         : tensor<?x4xf32>, !moe.routing<?x2 of 8> -> tensor<?x4xf32>
  %v = moe.experts %y, %r up(%up : tensor<8x4x6xf32>) down(%down : tensor<8x6x4xf32>) {activation = #moe.activation<gelu>}
         : tensor<?x4xf32>, !moe.routing<?x2 of 8> -> tensor<?x4xf32>
  return %y, %v : tensor<?x4xf32>, tensor<?x4xf32>
}

// Tests that who takes a routing apart gets the ids in the type that it asks for.

// CHECK-LABEL: func @unpack
func.func @unpack(%ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> (tensor<?x2xi64>, tensor<?x2xf32>) {
  // CHECK: arith.extsi %{{.*}} : tensor<?x2xi32> to tensor<?x2xi64>
  %r = moe.assign %ids, %w : tensor<?x2xi32>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
  %a, %b = moe.unpack %r : !moe.routing<?x2 of 8> -> tensor<?x2xi64>, tensor<?x2xf32>
  return %a, %b : tensor<?x2xi64>, tensor<?x2xf32>
}
