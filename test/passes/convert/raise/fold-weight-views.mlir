// RUN: moe-opt %s --moe-fold-weight-views | FileCheck %s

// Tests that a transposition swaps strides.

// CHECK-LABEL: func @transpose
func.func @transpose() -> tensor<4x8xf32> {
  %w = moe.weight "w" [#moe.view<"m", offset = 64, element = f32, strides = [4, 1]>] : tensor<8x4xf32>
  // CHECK: moe.weight "w" [#moe.view<"m", offset = 64, element = f32, strides = [1, 4]>] : tensor<4x8xf32>
  // CHECK-NOT: onnx.Transpose
  %t = onnx.Transpose(%w) {perm = array<i64: 1, 0>} : (tensor<8x4xf32>) -> tensor<4x8xf32>
  return %t : tensor<4x8xf32>
}

// Tests that interleaved entries become a view with a step, its offset in bytes.

// CHECK-LABEL: func @slice
func.func @slice() -> tensor<8x2xf32> {
  %w = moe.weight "w" [#moe.view<"m", offset = 64, element = f32, strides = [4, 1]>] : tensor<8x4xf32>
  %one = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %end = onnx.Constant() {value = dense<9223372036854775807> : tensor<1xi64>} : () -> tensor<1xi64>
  %two = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  // CHECK: moe.weight "w" [#moe.view<"m", offset = 68, element = f32, strides = [4, 2]>] : tensor<8x2xf32>
  %s = onnx.Slice(%w, %one, %end, %one, %two) : (tensor<8x4xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<8x2xf32>
  return %s : tensor<8x2xf32>
}

// Tests that a chain folds in one go: an expert of a stack, then half of its rows.

// CHECK-LABEL: func @chain
func.func @chain() -> (tensor<3x4xf32>, tensor<3x4xf32>) {
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = f32, strides = [24, 4, 1]>] : tensor<2x6x4xf32>
  %one = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %none = onnx.NoValue : none
  %e = onnx.Gather(%w, %one) : (tensor<2x6x4xf32>, tensor<i64>) -> tensor<6x4xf32>
  // CHECK: %[[GATE:.*]] = moe.weight "w" [#moe.view<"m", offset = 96, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  // CHECK: %[[UP:.*]] = moe.weight "w" [#moe.view<"m", offset = 144, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  // CHECK: return %[[GATE]], %[[UP]]
  %gate, %up = onnx.Split(%e, %none) {num_outputs = 2 : i64} : (tensor<6x4xf32>, none) -> (tensor<3x4xf32>, tensor<3x4xf32>)
  return %gate, %up : tensor<3x4xf32>, tensor<3x4xf32>
}

// Tests that widening changes the type and not the bytes, and that narrowing stays an operation.

// CHECK-LABEL: func @cast
func.func @cast() -> (tensor<4xf32>, tensor<4xf16>) {
  %h = moe.weight "h" [#moe.view<"m", offset = 0, element = f16, strides = [1]>] : tensor<4xf16>
  %w = moe.weight "w" [#moe.view<"m", offset = 64, element = f32, strides = [1]>] : tensor<4xf32>
  // CHECK: moe.weight "h" [#moe.view<"m", offset = 0, element = f16, strides = [1]>] : tensor<4xf32>
  // CHECK: onnx.Cast
  %wide = onnx.Cast(%h) {to = 1 : i64} : (tensor<4xf16>) -> tensor<4xf32>
  %narrow = onnx.Cast(%w) {to = 10 : i64} : (tensor<4xf32>) -> tensor<4xf16>
  return %wide, %narrow : tensor<4xf32>, tensor<4xf16>
}

// Tests that a reshape which strides cannot express stays.

// CHECK-LABEL: func @reshape
func.func @reshape() -> (tensor<2x4x4xf32>, tensor<32xf32>) {
  %w = moe.weight "w" [#moe.view<"m", offset = 0, element = f32, strides = [4, 1]>] : tensor<8x4xf32>
  %t = moe.weight "t" [#moe.view<"m", offset = 0, element = f32, strides = [1, 8]>] : tensor<8x4xf32>
  %split = onnx.Constant() {value = dense<[2, 4, 4]> : tensor<3xi64>} : () -> tensor<3xi64>
  %flat = onnx.Constant() {value = dense<32> : tensor<1xi64>} : () -> tensor<1xi64>
  // CHECK: moe.weight "w" [#moe.view<"m", offset = 0, element = f32, strides = [16, 4, 1]>] : tensor<2x4x4xf32>
  // CHECK: onnx.Reshape
  %a = onnx.Reshape(%w, %split) : (tensor<8x4xf32>, tensor<3xi64>) -> tensor<2x4x4xf32>
  %b = onnx.Reshape(%t, %flat) : (tensor<8x4xf32>, tensor<1xi64>) -> tensor<32xf32>
  return %a, %b : tensor<2x4x4xf32>, tensor<32xf32>
}
