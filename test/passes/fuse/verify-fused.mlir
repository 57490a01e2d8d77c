// RUN: moe-opt %s --moe-verify-fused | FileCheck %s

// Tests that levels 2 and 3 pass the gate unchanged.

// CHECK-LABEL: func @fused
func.func @fused(%ids: tensor<?x2xi32>) -> tensor<9xi32> {
  // CHECK: moe.permute
  %rows, %offsets = moe.permute %ids {experts = 8} : tensor<?x2xi32> -> tensor<?xi32>, tensor<9xi32>
  return %offsets : tensor<9xi32>
}
