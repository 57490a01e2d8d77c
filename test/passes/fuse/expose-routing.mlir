// RUN: moe-opt %s --moe-expose-routing --split-input-file | FileCheck %s

// Tests that the ids of fused routers become results, in their order and after those that were there.

// CHECK-LABEL: func @main
// CHECK-SAME: -> (tensor<?x2xf32> {moe.name = "weights"}, tensor<?x2xi32> {moe.name = "routing.0"},
// CHECK-SAME:     tensor<?x1xi32> {moe.name = "routing.1"})
// CHECK: %[[FIRST:.*]], %[[WEIGHTS:.*]], %{{.*}}, %{{.*}} = moe.route_permute
// CHECK: %[[SECOND:.*]], %{{.*}}, %{{.*}}, %{{.*}} = moe.route_permute
// CHECK: return %[[WEIGHTS]], %[[FIRST]], %[[SECOND]]
func.func @main(%logits: tensor<?x8xf32>) -> (tensor<?x2xf32> {moe.name = "weights"}) {
  %ids, %weights, %rows, %offsets = moe.route_permute %logits top_k(2)
      : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32>
  %ids1, %weights1, %rows1, %offsets1 = moe.route_permute %logits top_k(1)
      : tensor<?x8xf32> -> tensor<?x1xi32>, tensor<?x1xf32>, tensor<?xi32>, tensor<9xi32>
  return %weights : tensor<?x2xf32>
}

// -----

// Tests that routings of level 1 are unpacked and given ids are passed on.

// CHECK-LABEL: func @main
// CHECK-SAME: %{{.*}}: tensor<4x8xf32>, %[[GIVEN:.*]]: tensor<4x2xi64>
// CHECK: %[[ROUTING:.*]] = moe.route
// CHECK: %[[IDS:.*]], %{{.*}} = moe.unpack %[[ROUTING]]
// CHECK: return %[[ROUTING]], %[[IDS]], %[[GIVEN]]
func.func @main(%logits: tensor<4x8xf32>, %given: tensor<4x2xi64>, %weights: tensor<4x2xf32>) -> !moe.routing<4x2 of 8> {
  %r = moe.route %logits top_k(2) : tensor<4x8xf32> -> !moe.routing<4x2 of 8>
  %a = moe.assign %given, %weights : tensor<4x2xi64>, tensor<4x2xf32> -> !moe.routing<4x2 of 8>
  return %r : !moe.routing<4x2 of 8>
}
