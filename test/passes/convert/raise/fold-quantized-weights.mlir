// RUN: moe-opt %s --moe-fold-weight-views | FileCheck %s

// Tests that a dequantisation of stored numbers becomes a view: one scale for each column, one zero point for all.

// CHECK-LABEL: func @columns
func.func @columns() -> tensor<64x8xf32> {
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = i8, strides = [8, 1]>] : tensor<64x8xi8>
  %s = moe.weight "s" [#moe.view<"m", offset = 512, element = f32, strides = [1]>] : tensor<8xf32>
  %z = onnx.Constant() {value = dense<3> : tensor<8xi8>} : () -> tensor<8xi8>
  // CHECK: moe.weight "w" [#moe.view<"m", offset = 0, element = i8, strides = [8, 1], scales = [#moe.view<"m", offset = 512, element = f32, strides = [0, 1]>], zero_point = 3>] : tensor<64x8xf32>
  // CHECK-NOT: onnx.DequantizeLinear
  %y = onnx.DequantizeLinear(%w, %s, %z) {axis = 1 : i64} : (tensor<64x8xi8>, tensor<8xf32>, tensor<8xi8>) -> tensor<64x8xf32>
  return %y : tensor<64x8xf32>
}

// Tests that blocks along an axis become blocks of the scales, which a transposition and slices respect.

// CHECK-LABEL: func @blocks
func.func @blocks() -> tensor<8x32xf32> {
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = ui4, strides = [8, 1]>] : tensor<64x8xui4>
  %s = moe.weight "s" [#moe.view<"m", offset = 256, element = f16, strides = [8, 1]>] : tensor<4x8xf16>
  %none = onnx.NoValue : none
  %y = onnx.DequantizeLinear(%w, %s, %none) {axis = 0 : i64, block_size = 16 : i64} : (tensor<64x8xui4>, tensor<4x8xf16>, none) -> tensor<64x8xf32>
  %t = onnx.Transpose(%y) {perm = array<i64: 1, 0>} : (tensor<64x8xf32>) -> tensor<8x64xf32>
  %start = onnx.Constant() {value = dense<32> : tensor<1xi64>} : () -> tensor<1xi64>
  %end = onnx.Constant() {value = dense<64> : tensor<1xi64>} : () -> tensor<1xi64>
  %axis = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  // CHECK: moe.weight "w" [#moe.view<"m", offset = 128, element = ui4, strides = [1, 8], scales = [#moe.view<"m", offset = 288, element = f16, strides = [1, 8], blocks = [1, 16]>]>] : tensor<8x32xf32>
  %half = onnx.Slice(%t, %start, %end, %axis, %none) : (tensor<8x64xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, none) -> tensor<8x32xf32>
  return %half : tensor<8x32xf32>
}

// Tests that a slice within blocks stays, since no view can say where they begin.

// CHECK-LABEL: func @within_blocks
func.func @within_blocks() -> tensor<48xf32> {
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = i8, strides = [1]>] : tensor<64xi8>
  %s = moe.weight "s" [#moe.view<"m", offset = 64, element = f32, strides = [1]>] : tensor<4xf32>
  %none = onnx.NoValue : none
  %y = onnx.DequantizeLinear(%w, %s, %none) {axis = 0 : i64, block_size = 16 : i64} : (tensor<64xi8>, tensor<4xf32>, none) -> tensor<64xf32>
  %start = onnx.Constant() {value = dense<8> : tensor<1xi64>} : () -> tensor<1xi64>
  %end = onnx.Constant() {value = dense<56> : tensor<1xi64>} : () -> tensor<1xi64>
  // CHECK: onnx.Slice
  %part = onnx.Slice(%y, %start, %end, %none, %none) : (tensor<64xf32>, tensor<1xi64>, tensor<1xi64>, none, none) -> tensor<48xf32>
  return %part : tensor<48xf32>
}

// Tests that a product with packed weights becomes an ordinary one: rows of K padded to blocks, zero points that share
// bytes.

// CHECK-LABEL: func @product
// CHECK-SAME: (%[[X:.*]]: tensor<?x40xf32>)
func.func @product(%x: tensor<?x40xf32>) -> tensor<?x12xf32> {
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = ui8, strides = [24, 8, 1]>] : tensor<12x3x8xui8>
  %s = moe.weight "s" [#moe.view<"m", offset = 288, element = f32, strides = [1]>] : tensor<36xf32>
  %z = moe.weight "z" [#moe.view<"m", offset = 432, element = ui8, strides = [1]>] : tensor<24xui8>
  %none = onnx.NoValue : none
  // CHECK: %[[W:.*]] = moe.weight "w" [#moe.view<"m", offset = 0, element = ui4, strides = [1, 48],
  // CHECK-SAME: scales = [#moe.view<"m", offset = 288, element = f32, strides = [1, 3], blocks = [16, 1]>],
  // CHECK-SAME: zero_points = #moe.view<"m", offset = 432, element = ui4, strides = [1, 4], blocks = [16, 1]>>] : tensor<40x12xf32>
  // CHECK: onnx.MatMul(%[[X]], %[[W]])
  // CHECK-NOT: MatMulNBits
  %y = onnx.com.microsoft.MatMulNBits(%x, %w, %s, %z, %none, %none) {K = 40 : i64, N = 12 : i64, bits = 4 : i64, block_size = 16 : i64}
    : (tensor<?x40xf32>, tensor<12x3x8xui8>, tensor<36xf32>, tensor<24xui8>, none, none) -> tensor<?x12xf32>
  return %y : tensor<?x12xf32>
}

// Tests that rows of a quantised table are dequantised when they have been chosen, so that the table keeps its size; bytes
// have the middle of their range as zero point. Types may name dimensions.

// CHECK-LABEL: func @rows
// CHECK-SAME: %[[IDS:.*]]: tensor<?xi64>
func.func @rows(%ids: tensor<?xi64>) -> tensor<?x64xf16, #onnx.dims<"count", "">> {
  // CHECK-DAG: %[[W:.*]] = moe.weight "w" {{.*}} : tensor<100x32xui8>
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = ui8, strides = [32, 1]>] : tensor<100x32xui8>
  // CHECK-DAG: %[[S:.*]] = moe.weight "s" {{.*}} : tensor<100x2xf16>
  %s = moe.weight "s" [#moe.view<"m", offset = 3200, element = f16, strides = [2, 1]>] : tensor<100x2xf16>
  %none = onnx.NoValue : none
  // CHECK: onnx.Gather(%[[W]], %[[IDS]]) {{.*}} -> tensor<?x32xui8>
  // CHECK: onnx.Concat{{.*}} -> tensor<?x32x2xui8>
  // CHECK: %[[NUMBERS:.*]] = onnx.Cast{{.*}} -> tensor<?x2x32xf32>
  // CHECK: onnx.Gather(%[[S]], %[[IDS]])
  // CHECK: %[[SCALES:.*]] = onnx.Cast{{.*}} -> tensor<?x2x1xf32>
  // CHECK: %[[DIFFERENCE:.*]] = onnx.Sub(%[[NUMBERS]], %{{.*}})
  // CHECK: onnx.Mul(%[[DIFFERENCE]], %[[SCALES]])
  // CHECK: %[[Y:.*]] = onnx.Cast{{.*}} -> tensor<?x64xf16, #onnx.dims<"count", "">>
  // CHECK: return %[[Y]]
  %y = onnx.com.microsoft.GatherBlockQuantized(%w, %ids, %s, %none) {bits = 4 : i64, block_size = 32 : i64}
    : (tensor<100x32xui8>, tensor<?xi64>, tensor<100x2xf16>, none) -> tensor<?x64xf16, #onnx.dims<"count", "">>
  return %y : tensor<?x64xf16, #onnx.dims<"count", "">>
}

// Tests that rows of other quantised tables are rows of a dequantised one.

// CHECK-LABEL: func @rows_of_numbers
func.func @rows_of_numbers(%ids: tensor<?xi64>) -> tensor<?x64xf16> {
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = ui4, strides = [64, 1]>] : tensor<100x64xui4>
  %s = moe.weight "s" [#moe.view<"m", offset = 3200, element = f16, strides = [2, 1]>] : tensor<100x2xf16>
  %none = onnx.NoValue : none
  // CHECK: %[[W:.*]] = moe.weight "w" [#moe.view<"m", offset = 0, element = ui4, strides = [64, 1], scales = [{{.*}} blocks = [1, 32]>]>] : tensor<100x64xf16>
  // CHECK: onnx.Gather(%[[W]], %{{.*}})
  %y = onnx.com.microsoft.GatherBlockQuantized(%w, %ids, %s, %none) {bits = 4 : i64, block_size = 32 : i64}
    : (tensor<100x64xui4>, tensor<?xi64>, tensor<100x2xf16>, none) -> tensor<?x64xf16>
  return %y : tensor<?x64xf16>
}
