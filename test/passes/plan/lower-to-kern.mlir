// RUN: moe-opt %s -moe-lower-to-kern -canonicalize | FileCheck %s
// RUN: moe-opt %s -moe-lower-to-kern -remarks-filter=moe-lower-to-kern 2>&1 | FileCheck %s --check-prefix=REMARK

// Tests that a product without a kernel is reported.

// REMARK-COUNT-1: product left to plain loops{{.*}}tensor<4x8xi32>
// REMARK-NOT: product left to plain loops

// Tests that a product whose destination is zero overwrites it.

// CHECK-LABEL: func @matmul
// CHECK-SAME: %[[X:.*]]: tensor<?x64xf16>, %[[W:.*]]: tensor<64x20xf16>
func.func @matmul(%x: tensor<?x64xf16>, %w: tensor<64x20xf16>) -> tensor<?x20xf32> {
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %rows = tensor.dim %x, %c0 : tensor<?x64xf16>
  %empty = tensor.empty(%rows) : tensor<?x20xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x20xf32>) -> tensor<?x20xf32>
  // CHECK-DAG: %[[PANELS:.*]] = kern.pack ins(%[[W]] : tensor<64x20xf16>) {{.*}} -> tensor<2x64x16x1xf16>
  // CHECK-DAG: %[[INIT:.*]] = tensor.empty(%{{.*}}) : tensor<?x20xf32>
  // CHECK: %[[Y:.*]] = kern.panel_gemm ins(%[[X]], %[[PANELS]] : {{.*}}) outs(%[[INIT]] : tensor<?x20xf32>)
  // CHECK: return %[[Y]]
  %y = linalg.matmul ins(%x, %w : tensor<?x64xf16>, tensor<64x20xf16>) outs(%init : tensor<?x20xf32>) -> tensor<?x20xf32>
  return %y : tensor<?x20xf32>
}

// Tests that a product adds to a destination that is not known to be zero.

// CHECK-LABEL: func @accumulate
func.func @accumulate(%x: tensor<4x8xf32>, %w: tensor<8x4xf32>, %init: tensor<4x4xf32>) -> tensor<4x4xf32> {
  // CHECK: kern.panel_gemm accumulate
  %y = linalg.matmul ins(%x, %w : tensor<4x8xf32>, tensor<8x4xf32>) outs(%init : tensor<4x4xf32>) -> tensor<4x4xf32>
  return %y : tensor<4x4xf32>
}

// Tests that the right operands of a batch are packed in the run, whatever their width.

// CHECK-LABEL: func @batch
// CHECK-SAME: %{{.*}}: tensor<?x?x8xf32>, %[[B:.*]]: tensor<?x8x?xf32>
func.func @batch(%a: tensor<?x?x8xf32>, %b: tensor<?x8x?xf32>, %init: tensor<?x?x?xf32>) -> tensor<?x?x?xf32> {
  // CHECK: %[[WIDTH:.*]] = tensor.dim %[[B]], %c2
  // CHECK: %[[PANELS:.*]] = arith.ceildivui %[[WIDTH]], %c16
  // CHECK: tensor.empty(%{{.*}}, %[[PANELS]]) : tensor<?x?x8x16x1xf32>
  // CHECK: kern.pack ins(%[[B]] : tensor<?x8x?xf32>)
  // CHECK: kern.panel_gemm accumulate
  %y = linalg.batch_matmul ins(%a, %b : tensor<?x?x8xf32>, tensor<?x8x?xf32>) outs(%init : tensor<?x?x?xf32>)
         -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}

// Tests that panels of bf16 hold pairs of rows.

// CHECK-LABEL: func @pairs
func.func @pairs(%a: tensor<?x7xbf16>, %b: tensor<7x20xbf16>, %c: tensor<?x20xbf16>, %init: tensor<?x20xf32>)
    -> (tensor<?x20xf32>, tensor<?x20xf32>) {
  // CHECK: kern.pack {{.*}} layout <columns = 16, depth = 2> -> tensor<2x4x16x2xbf16>
  %y = linalg.matmul ins(%a, %b : tensor<?x7xbf16>, tensor<7x20xbf16>) outs(%init : tensor<?x20xf32>) -> tensor<?x20xf32>
  // CHECK: %[[STEPS:.*]] = arith.ceildivui %{{.*}}, %c2
  // CHECK: tensor.empty(%[[STEPS]]) : tensor<2x?x16x2xbf16>
  %z = linalg.matmul ins(%a, %c : tensor<?x7xbf16>, tensor<?x20xbf16>) outs(%init : tensor<?x20xf32>) -> tensor<?x20xf32>
  return %y, %z : tensor<?x20xf32>, tensor<?x20xf32>
}

// Tests that a product of integers is left alone.

// CHECK-LABEL: func @integers
func.func @integers(%a: tensor<4x8xi32>, %b: tensor<8x4xi32>, %init: tensor<4x4xi32>) -> tensor<4x4xi32> {
  // CHECK: linalg.matmul
  %y = linalg.matmul ins(%a, %b : tensor<4x8xi32>, tensor<8x4xi32>) outs(%init : tensor<4x4xi32>) -> tensor<4x4xi32>
  return %y : tensor<4x4xi32>
}

// Tests that gate and up projection share one pack, and that weights apply to the output.

// CHECK-LABEL: func @experts
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x64xf16>, %[[WEIGHTS:[^:]*]]: tensor<?x2xf32>
// CHECK-SAME: %[[GATE:[^:]*]]: tensor<8x64x32xf16>, %[[UP:[^:]*]]: tensor<8x64x32xf16>, %[[DOWN:[^:]*]]: tensor<8x32x64xf16>
func.func @experts(%x: tensor<?x64xf16>, %w: tensor<?x2xf32>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>,
                   %gate: tensor<8x64x32xf16>, %up: tensor<8x64x32xf16>, %down: tensor<8x32x64xf16>) -> tensor<?x64xf16> {
  // CHECK: %[[HIDDEN_PANELS:.*]] = kern.pack ins(%[[GATE]], %[[UP]] : {{.*}} -> tensor<8x4x64x16x1xf16>
  // CHECK: %[[HIDDEN:.*]] = kern.experts_hidden %[[X]], %{{.*}}, %{{.*}}, %[[HIDDEN_PANELS]] outs({{.*}}gated, slots = 2
  // CHECK: %[[DOWN_PANELS:.*]] = kern.pack ins(%[[DOWN]] : {{.*}} -> tensor<8x4x32x16x1xf16>
  // CHECK: %[[SUM:.*]] = kern.experts_combine %[[HIDDEN]], %{{.*}}, %{{.*}}, %[[DOWN_PANELS]] weights(%[[WEIGHTS]]
  // CHECK: linalg.generic {{.*}} ins(%[[SUM]]
  // CHECK: arith.truncf
  %y = moe.fused_ffn %x, %w, %rows, %offsets gate(%gate : tensor<8x64x32xf16>) up(%up : tensor<8x64x32xf16>)
         down(%down : tensor<8x32x64xf16>) {activation = #moe.activation<silu>}
         : tensor<?x64xf16>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32> -> tensor<?x64xf16>
  return %y : tensor<?x64xf16>
}

// Tests that weights that apply to the input go to the first half.

// CHECK-LABEL: func @input
func.func @input(%x: tensor<?x64xf32>, %w: tensor<?x2xf32>, %rows: tensor<?xi32>, %offsets: tensor<9xi32>,
                 %up: tensor<8x64x32xf32>, %down: tensor<8x32x64xf32>) -> tensor<?x64xf32> {
  // CHECK: kern.experts_hidden {{.*}} weights(
  // CHECK-NOT: gated
  // CHECK: kern.experts_combine
  // CHECK-NOT: weights(
  // CHECK: return
  %y = moe.fused_ffn %x, %w, %rows, %offsets up(%up : tensor<8x64x32xf32>) down(%down : tensor<8x32x64xf32>)
         {activation = #moe.activation<relu>, apply = #moe.apply<input>}
         : tensor<?x64xf32>, tensor<?x2xf32>, tensor<?xi32>, tensor<9xi32> -> tensor<?x64xf32>
  return %y : tensor<?x64xf32>
}
