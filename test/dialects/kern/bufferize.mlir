// RUN: moe-opt %s -one-shot-bufferize="bufferize-function-boundaries" | FileCheck %s

// Tests that weights and kernels become the same on buffers, without a copy.

kern.segment @w "w" {offset = 0 : i64, packed = #kern.packed<columns = 16, depth = 1>, source_type = tensor<64x20xf32>,
    sources = [[#moe.view<"m.onnx", offset = 0, element = f32, strides = [20, 1]>]]} : tensor<2x64x16x1xf32>

// CHECK-LABEL: func @product
func.func @product(%x: tensor<8x64xf32>) -> tensor<8x20xf32> {
  // CHECK-DAG: %[[WEIGHT:.*]] = kern.weight @w : memref<2x64x16x1xf32>
  %w = kern.weight @w : tensor<2x64x16x1xf32>
  // CHECK-DAG: %[[RESULT:.*]] = memref.alloc() {{.*}} : memref<8x20xf32>
  %init = tensor.empty() : tensor<8x20xf32>
  // CHECK: kern.panel_gemm ins(%{{.*}}, %[[WEIGHT]] : {{.*}}) outs(%[[RESULT]] : memref<8x20xf32>)
  // CHECK-NOT: memref.copy
  %y = kern.panel_gemm ins(%x, %w : tensor<8x64xf32>, tensor<2x64x16x1xf32>) outs(%init : tensor<8x20xf32>)
         -> tensor<8x20xf32>
  // CHECK: return %[[RESULT]]
  return %y : tensor<8x20xf32>
}

// Tests that a destination whose old numbers are needed afterwards is not overwritten.

// CHECK-LABEL: func @keep
// CHECK-SAME: %{{.*}}: memref<8x64xf32{{.*}}>, %[[OLD:[^:]*]]: memref<8x20xf32
func.func @keep(%x: tensor<8x64xf32>, %old: tensor<8x20xf32>) -> (tensor<8x20xf32>, tensor<8x20xf32>) {
  %w = kern.weight @w : tensor<2x64x16x1xf32>
  // CHECK: %[[RESULT:.*]] = memref.alloc() {{.*}} : memref<8x20xf32>
  // CHECK: memref.copy %[[OLD]], %[[RESULT]]
  // CHECK: kern.panel_gemm accumulate {{.*}} outs(%[[RESULT]] : memref<8x20xf32>)
  %y = kern.panel_gemm accumulate ins(%x, %w : tensor<8x64xf32>, tensor<2x64x16x1xf32>) outs(%old : tensor<8x20xf32>)
         -> tensor<8x20xf32>
  return %y, %old : tensor<8x20xf32>, tensor<8x20xf32>
}
