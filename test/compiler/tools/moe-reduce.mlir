// RUN: moe-reduce %s -reduction-tree='traversal-mode=0 test=%S/Inputs/mentions-combine' | FileCheck %s

// Tests that a module with our operations shrinks to the function that a condition is about.

// CHECK-NOT: moe.unpack
// CHECK: func @combine
// CHECK: moe.combine
func.func @combine(%h: tensor<?x4xf32>, %rows: tensor<?xi32>, %weights: tensor<?x2xf32>) -> tensor<?x4xf32> {
  %y = moe.combine %h, %rows, %weights : tensor<?x4xf32>, tensor<?xi32>, tensor<?x2xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-NOT: moe.unpack
func.func @unpack(%r: !moe.routing<?x2 of 8>) -> tensor<?x2xf32> {
  %ids, %weights = moe.unpack %r : !moe.routing<?x2 of 8> -> tensor<?x2xi32>, tensor<?x2xf32>
  return %weights : tensor<?x2xf32>
}
