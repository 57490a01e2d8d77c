// RUN: mlir-opt %s --load-dialect-plugin=%build/lib/libMoEPlugin.so --pass-pipeline='builtin.module(cse)' \
// RUN:   --verify-roundtrip | FileCheck %s
// RUN: not mlir-opt %s 2>&1 | FileCheck %s --check-prefix=WITHOUT

// Tests that the stock mlir-opt reads our operations and knows that they are pure once the plugin is loaded, and only
// then.

// WITHOUT: error: Dialect `moe' not found for custom op 'moe.permute'

// CHECK-LABEL: func @permute_twice
// CHECK-NEXT: %[[ROWS:.*]], %[[OFFSETS:.*]] = moe.permute
// CHECK-NEXT: return %[[ROWS]], %[[ROWS]]
func.func @permute_twice(%ids: tensor<?x2xi32>) -> (tensor<?xi32>, tensor<?xi32>) {
  %rows0, %offsets0 = moe.permute %ids {experts = 8} : tensor<?x2xi32> -> tensor<?xi32>, tensor<9xi32>
  %rows1, %offsets1 = moe.permute %ids {experts = 8} : tensor<?x2xi32> -> tensor<?xi32>, tensor<9xi32>
  return %rows0, %rows1 : tensor<?xi32>, tensor<?xi32>
}
