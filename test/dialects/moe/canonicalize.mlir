// RUN: moe-opt %s --canonicalize | FileCheck %s

// Tests that what was put into a routing comes out of it again.

// CHECK-LABEL: func @unpack_of_assign
// CHECK-SAME: (%[[IDS:.*]]: tensor<?x2xi32>, %[[WEIGHTS:.*]]: tensor<?x2xf32>)
func.func @unpack_of_assign(%ids: tensor<?x2xi32>, %w: tensor<?x2xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>) {
  // CHECK: return %[[IDS]], %[[WEIGHTS]]
  %r = moe.assign %ids, %w : tensor<?x2xi32>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
  %a, %b = moe.unpack %r : !moe.routing<?x2 of 8> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %a, %b : tensor<?x2xi32>, tensor<?x2xf32>
}

// Tests that a conversion on the way stays.

// CHECK-LABEL: func @unpack_to_other_ids
func.func @unpack_to_other_ids(%ids: tensor<?x2xi64>, %w: tensor<?x2xf32>) -> tensor<?x2xi32> {
  // CHECK: moe.unpack
  %r = moe.assign %ids, %w : tensor<?x2xi64>, tensor<?x2xf32> -> !moe.routing<?x2 of 8>
  %a, %b = moe.unpack %r : !moe.routing<?x2 of 8> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %a : tensor<?x2xi32>
}
