// RUN: moe-opt %s --moe-lower-reference | FileCheck %s
// RUN: moe-opt %s --moe-bufferize-pipeline | FileCheck %s --check-prefix=BUFFERS

// Tests that a router becomes one loop over tokens, then a scan, then the placement, and that nothing is allocated or
// copied inside the loops.

// CHECK-LABEL: func @router
// BUFFERS-LABEL: func @router
func.func @router(%z: tensor<?x8xf32>, %bias: tensor<8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32>) {
  // CHECK-NOT: moe.
  // CHECK: scf.for
  // CHECK: math.exp
  // BUFFERS: scf.for
  // BUFFERS-NOT: memref.copy
  // BUFFERS: return
  %ids, %w, %rows, %offsets = moe.route_permute %z select_bias(%bias : tensor<8xf32>) top_k(2) {score = #moe.score<sigmoid>, normalize = #moe.normalize<sum>}
    : tensor<?x8xf32> -> tensor<?x2xi32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32>
  return %ids, %w, %rows, %offsets : tensor<?x2xi32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32>
}

// Tests that ids which a model computed are checked.

// CHECK-LABEL: func @permute
func.func @permute(%ids: tensor<?x2xi64>) -> (tensor<?xi32>, tensor<9xi32>) {
  // CHECK: cf.assert %{{.*}}, "expert id outside of [0, 8)"
  %rows, %offsets = moe.permute %ids {experts = 8} : tensor<?x2xi64> -> tensor<?xi32>, tensor<9xi32>
  return %rows, %offsets : tensor<?xi32>, tensor<9xi32>
}

// Tests that slots without an expert have a bin of their own behind the last expert, which the offsets do not show.

// CHECK-LABEL: func @permute_dropped
func.func @permute_dropped(%ids: tensor<?x2xi64>) -> (tensor<?xi32>, tensor<9xi32>) {
  // CHECK: %[[NONE:.*]] = arith.constant -1 : index
  // CHECK: arith.cmpi eq, %{{.*}}, %[[NONE]]
  // CHECK: tensor.extract_slice %{{.*}}[0] [9] [1] : tensor<10xi32> to tensor<9xi32>
  %rows, %offsets = moe.permute %ids {drops, experts = 8} : tensor<?x2xi64> -> tensor<?xi32>, tensor<9xi32>
  return %rows, %offsets : tensor<?xi32>, tensor<9xi32>
}

// Tests that the operations of level 2 and the shared expert have loops.

// CHECK-LABEL: func @level_2
func.func @level_2(%x: tensor<?x4xf32>, %w: tensor<8x4x6xf32>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>, %weights: tensor<?x2xf32>,
                   %up: tensor<6x5xf32>, %down: tensor<5x6xf32>) -> tensor<?x6xf32> {
  // CHECK-NOT: moe.
  // CHECK: return
  %h = moe.grouped_matmul %x, %w, %offsets rows(%rows : tensor<?xi32>) {slots = 2} : tensor<?x4xf32>, tensor<8x4x6xf32>, tensor<9xi32> -> tensor<?x6xf32>
  %y = moe.combine %h, %rows, %weights : tensor<?x6xf32>, tensor<?xi32>, tensor<?x2xf32> -> tensor<?x6xf32>
  %s = moe.shared %y up(%up : tensor<6x5xf32>) down(%down : tensor<5x6xf32>) {activation = #moe.activation<relu>} : tensor<?x6xf32> -> tensor<?x6xf32>
  return %s : tensor<?x6xf32>
}
