// RUN: moe-opt %s -split-input-file --moe-unroll-loops | FileCheck %s

// Tests that a Scan over a stack of matrices becomes one product for each, and that its outputs are joined, backwards
// where it says so.
// CHECK-LABEL: func @scan
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x4xf32>)
func.func @scan(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<2x?x4xf32>) {
  // CHECK-NOT: onnx.Scan
  // CHECK: %[[W:.*]] = moe.weight
  // CHECK: %[[W0:.*]] = onnx.Gather(%[[W]],
  // CHECK: %[[Y0:.*]] = onnx.MatMul(%[[X]], %[[W0]])
  // CHECK: %[[W1:.*]] = onnx.Gather(%[[W]],
  // CHECK: %[[Y1:.*]] = onnx.MatMul(%[[Y0]], %[[W1]])
  // CHECK: %[[LAST:.*]] = onnx.Unsqueeze(%[[Y1]]
  // CHECK: %[[FIRST:.*]] = onnx.Unsqueeze(%[[Y0]]
  // CHECK: %[[ALL:.*]] = onnx.Concat(%[[LAST]], %[[FIRST]])
  // CHECK: return %[[Y1]], %[[ALL]]
  %w = moe.weight "w" [#moe.view<"m.onnx", offset = 64, element = f32, strides = [16, 4, 1]>] : tensor<2x4x4xf32>
  %y:2 = onnx.Scan(%x, %w) {
  ^bb0(%state: tensor<?x4xf32>, %matrix: tensor<4x4xf32>):
    %next = onnx.MatMul(%state, %matrix) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    onnx.Yield %next, %next : tensor<?x4xf32>, tensor<?x4xf32>
  } {num_scan_inputs = 1 : i64, scan_output_directions = array<i64: 1>} : (tensor<?x4xf32>, tensor<2x4x4xf32>) -> (tensor<?x4xf32>, tensor<2x?x4xf32>)
  return %y#0, %y#1 : tensor<?x4xf32>, tensor<2x?x4xf32>
}

// -----

// Tests that a Loop that gathers the matrix of its turn is unrolled, and a longer one is not.
// CHECK-LABEL: func @loop
// CHECK: onnx.MatMul
// CHECK: onnx.MatMul
// CHECK: onnx.Loop
func.func @loop(%x: tensor<?x4xf32>) -> (tensor<?x4xf32>, tensor<?x4xf32>) {
  %w = moe.weight "w" [#moe.view<"m.onnx", offset = 64, element = f32, strides = [16, 4, 1]>] : tensor<2x4x4xf32>
  %two = onnx.Constant() {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %three = onnx.Constant() {value = dense<3> : tensor<i64>} : () -> tensor<i64>
  %yes = onnx.Constant() {value = dense<true> : tensor<i1>} : () -> tensor<i1>
  %y = onnx.Loop(%two, %yes, %x) {
  ^bb0(%turn: tensor<i64>, %on: tensor<i1>, %state: tensor<?x4xf32>):
    %matrix = onnx.Gather(%w, %turn) : (tensor<2x4x4xf32>, tensor<i64>) -> tensor<4x4xf32>
    %next = onnx.MatMul(%state, %matrix) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    onnx.Yield %on, %next : tensor<i1>, tensor<?x4xf32>
  } : (tensor<i64>, tensor<i1>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %z = onnx.Loop(%three, %yes, %x) {
  ^bb0(%turn: tensor<i64>, %on: tensor<i1>, %state: tensor<?x4xf32>):
    %first = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
    %matrix = onnx.Gather(%w, %first) : (tensor<2x4x4xf32>, tensor<i64>) -> tensor<4x4xf32>
    %next = onnx.MatMul(%state, %matrix) : (tensor<?x4xf32>, tensor<4x4xf32>) -> tensor<?x4xf32>
    onnx.Yield %on, %next : tensor<i1>, tensor<?x4xf32>
  } : (tensor<i64>, tensor<i1>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y, %z : tensor<?x4xf32>, tensor<?x4xf32>
}
