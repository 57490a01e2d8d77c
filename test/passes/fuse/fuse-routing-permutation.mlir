// RUN: moe-opt %s --moe-fuse-routing-permutation | FileCheck %s

// Tests that a router and its permutation become one operation with the router's attributes.

// CHECK-LABEL: func @router
// CHECK-SAME: (%[[LOGITS:.*]]: tensor<?x8xf32>, %[[BIAS:.*]]: tensor<8xf32>)
func.func @router(%logits: tensor<?x8xf32>, %bias: tensor<8xf32>) -> !moe.routing<?x2 of 8> {
  // CHECK: %[[IDS:.*]], %[[WEIGHTS:.*]], %{{.*}}, %{{.*}} = moe.route_permute %[[LOGITS]] select_bias(%[[BIAS]] : tensor<8xf32>) top_k(2)
  // CHECK-SAME: normalize = #moe.normalize<sum>
  // CHECK-SAME: score = #moe.score<sigmoid>
  // CHECK-SAME: -> tensor<?x2xi32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32>
  // CHECK: %[[ROUTING:.*]] = moe.assign %[[IDS]], %[[WEIGHTS]]
  // CHECK: return %[[ROUTING]]
  %r = moe.route %logits select_bias(%bias : tensor<8xf32>) top_k(2) {normalize = #moe.normalize<sum>, score = #moe.score<sigmoid>}
         : tensor<?x8xf32> -> !moe.routing<?x2 of 8>
  return %r : !moe.routing<?x2 of 8>
}

// Tests that a known number of tokens gives a known number of assignments.

// CHECK-LABEL: func @static_tokens
func.func @static_tokens(%logits: tensor<5x8xf32>) -> !moe.routing<5x3 of 8> {
  // CHECK: moe.route_permute {{.*}} -> tensor<5x3xi32>, tensor<5x3xf32>, tensor<15xi32>, tensor<9xi32>
  %r = moe.route %logits top_k(3) : tensor<5x8xf32> -> !moe.routing<5x3 of 8>
  return %r : !moe.routing<5x3 of 8>
}
