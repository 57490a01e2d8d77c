// RUN: moe-opt %s -split-input-file --moe-raise-experts --canonicalize | FileCheck %s
// Tests that experts with stacked matrices on all tokens are raised, with the choice behind their weights if there is one.

// CHECK-LABEL: func @scattered_weights
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x4xf32>, %[[Z:[a-z0-9]*]]: tensor<?x2xf32>)
func.func @scattered_weights(%x: tensor<?x4xf32>, %z: tensor<?x2xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[VALUES:.*]], %[[IDS:.*]] = onnx.TopK(%[[Z]]
  // CHECK: %[[R:.*]] = moe.assign %[[IDS]], %[[VALUES]] : tensor<?x1xi64>, tensor<?x1xf32> -> <?x1 of 2>
  // CHECK: moe.experts %[[X]], %[[R]] up({{.*}} : tensor<2x4x3xf32>) down({{.*}} : tensor<2x3x4xf32>) {activation = #moe.activation<relu>}
  // CHECK-NOT: onnx.MatMul
  %w1 = moe.weight "w1" [#moe.view<"m", offset = 0, element = f32, strides = [12, 3, 1]>] : tensor<2x4x3xf32>
  %w2 = moe.weight "w2" [#moe.view<"m", offset = 96, element = f32, strides = [12, 4, 1]>] : tensor<2x3x4xf32>
  %k = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %minus_one = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %axis = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %values, %ids = onnx.TopK(%z, %k) : (tensor<?x2xf32>, tensor<1xi64>) -> (tensor<?x1xf32>, tensor<?x1xi64>)
  %shape = onnx.Shape(%z) : (tensor<?x2xf32>) -> tensor<2xi64>
  %zeros = onnx.ConstantOfShape(%shape) : (tensor<2xi64>) -> tensor<?x2xf32>
  %gates = onnx.ScatterElements(%zeros, %ids, %values) {axis = 1 : i64} : (tensor<?x2xf32>, tensor<?x1xi64>, tensor<?x1xf32>) -> tensor<?x2xf32>
  %t = onnx.Transpose(%gates) {perm = array<i64: 1, 0>} : (tensor<?x2xf32>) -> tensor<2x?xf32>
  %g = onnx.Unsqueeze(%t, %minus_one) : (tensor<2x?xf32>, tensor<1xi64>) -> tensor<2x?x1xf32>
  %h = onnx.MatMul(%x, %w1) : (tensor<?x4xf32>, tensor<2x4x3xf32>) -> tensor<2x?x3xf32>
  %a = onnx.Relu(%h) : (tensor<2x?x3xf32>) -> tensor<2x?x3xf32>
  %d = onnx.MatMul(%a, %w2) : (tensor<2x?x3xf32>, tensor<2x3x4xf32>) -> tensor<2x?x4xf32>
  %m = onnx.Mul(%g, %d) : (tensor<2x?x1xf32>, tensor<2x?x4xf32>) -> tensor<2x?x4xf32>
  %y = onnx.ReduceSum(%m, %axis) {keepdims = 0 : i64} : (tensor<2x?x4xf32>, tensor<1xi64>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Weights that nothing chose are those of all experts; those that are zero are dropped.
// CHECK-LABEL: func @dense_mixture
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x4xf32>, %[[G:[a-z0-9]*]]: tensor<?x2xf32>)
func.func @dense_mixture(%x: tensor<?x4xf32>, %gates: tensor<?x2xf32>) -> tensor<?x4xf32> {
  // CHECK: %[[ALL:.*]] = onnx.Expand
  // CHECK: %[[NONE:.*]] = onnx.Equal(%[[G]]
  // CHECK: %[[IDS:.*]] = onnx.Where(%[[NONE]], %{{.*}}, %[[ALL]])
  // CHECK: %[[R:.*]] = moe.assign %[[IDS]], %[[G]] {drops} : tensor<?x2xi64>, tensor<?x2xf32> -> <?x2 of 2>
  // CHECK: moe.experts %[[X]], %[[R]]
  // CHECK-NOT: onnx.Einsum
  %w1 = moe.weight "w1" [#moe.view<"m", offset = 0, element = f32, strides = [12, 3, 1]>] : tensor<2x4x3xf32>
  %w2 = moe.weight "w2" [#moe.view<"m", offset = 96, element = f32, strides = [12, 4, 1]>] : tensor<2x3x4xf32>
  %h = onnx.Einsum(%x, %w1) {equation = "td,edf->tef"} : (tensor<?x4xf32>, tensor<2x4x3xf32>) -> tensor<?x2x3xf32>
  %a = onnx.Relu(%h) : (tensor<?x2x3xf32>) -> tensor<?x2x3xf32>
  %y = onnx.Einsum(%gates, %a, %w2) {equation = "te,tef,efd->td"} : (tensor<?x2xf32>, tensor<?x2x3xf32>, tensor<2x3x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// A product in two steps with a sum over both inner indices is no mixture.
// CHECK-LABEL: func @no_weights
// CHECK-NOT: moe.experts
func.func @no_weights(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w1 = moe.weight "w1" [#moe.view<"m", offset = 0, element = f32, strides = [12, 3, 1]>] : tensor<2x4x3xf32>
  %w2 = moe.weight "w2" [#moe.view<"m", offset = 96, element = f32, strides = [12, 4, 1]>] : tensor<2x3x4xf32>
  %h = onnx.Einsum(%x, %w1) {equation = "td,edf->tef"} : (tensor<?x4xf32>, tensor<2x4x3xf32>) -> tensor<?x2x3xf32>
  %a = onnx.Relu(%h) : (tensor<?x2x3xf32>) -> tensor<?x2x3xf32>
  %y = onnx.Einsum(%a, %w2) {equation = "tef,efd->td"} : (tensor<?x2x3xf32>, tensor<2x3x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
