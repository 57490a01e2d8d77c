// RUN: moe-opt %s --moe-verify-converted | FileCheck %s

// Tests that plain tensors pass the gate unchanged.

// CHECK-LABEL: func @plain
func.func @plain(%x: tensor<?x64xf32>) -> tensor<?x64xf32> {
  // CHECK: arith.addf
  %y = arith.addf %x, %x : tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
