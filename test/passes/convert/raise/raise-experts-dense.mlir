// RUN: moe-opt %s -split-input-file -moe-raise-experts -canonicalize | FileCheck %s

// Tests that a sum of masked experts becomes one operation on stacked weights, gate and up projection cut from one.
// CHECK-LABEL: func.func @two_experts(
// CHECK-SAME:      %[[X:[a-z0-9]*]]: tensor<?x4xf32>, %[[IDS:[a-z0-9]*]]: tensor<?x1xi64>, %[[WEIGHTS:[a-z0-9]*]]: tensor<?x1xf32>
// CHECK-DAG:     %[[ROUTING:.*]] = moe.assign %[[IDS]], %[[WEIGHTS]]
// CHECK-DAG:     %[[GATE:.*]] = moe.weight "fc1" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [24, 1, 4]>] : tensor<2x4x3xf32>
// CHECK-DAG:     %[[UP:.*]] = moe.weight "fc1" [#moe.view<"m.onnx", offset = 48, element = f32, strides = [24, 1, 4]>] : tensor<2x4x3xf32>
// CHECK-DAG:     %[[DOWN:.*]] = moe.weight "fc2" [#moe.view<"m.onnx", offset = 192, element = f32, strides = [12, 4, 1]>] : tensor<2x3x4xf32>
// CHECK:         moe.experts %[[X]], %[[ROUTING]] gate(%[[GATE]] : {{.*}}) up(%[[UP]] : {{.*}}) down(%[[DOWN]] :
// CHECK-SAME:        activation = #moe.activation<silu>
// CHECK-NOT:     onnx.MatMul
func.func @two_experts(%x: tensor<?x4xf32>, %ids: tensor<?x1xi64>, %w: tensor<?x1xf32>) -> tensor<?x4xf32> {
  %none = onnx.NoValue : none
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %e0 = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %e1 = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %w1a = moe.weight "fc1" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [4, 1]>] : tensor<6x4xf32>
  %w1b = moe.weight "fc1" [#moe.view<"m.onnx", offset = 96, element = f32, strides = [4, 1]>] : tensor<6x4xf32>
  %w2a = moe.weight "fc2" [#moe.view<"m.onnx", offset = 192, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %w2b = moe.weight "fc2" [#moe.view<"m.onnx", offset = 240, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %h0 = onnx.Gemm(%x, %w1a, %none) {transB = 1 : i64} : (tensor<?x4xf32>, tensor<6x4xf32>, none) -> tensor<?x6xf32>
  %p0:2 = onnx.Split(%h0, %none) {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x6xf32>, none) -> (tensor<?x3xf32>, tensor<?x3xf32>)
  %s0 = onnx.Sigmoid(%p0#0) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %g0 = onnx.Mul(%p0#0, %s0) : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  %a0 = onnx.Mul(%g0, %p0#1) : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  %y0 = onnx.MatMul(%a0, %w2a) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %q0 = onnx.Equal(%ids, %e0) : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %f0 = onnx.Cast(%q0) {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %n0 = onnx.Mul(%w, %f0) : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %m0 = onnx.ReduceSum(%n0, %last) : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %o0 = onnx.Mul(%y0, %m0) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %h1 = onnx.Gemm(%x, %w1b, %none) {transB = 1 : i64} : (tensor<?x4xf32>, tensor<6x4xf32>, none) -> tensor<?x6xf32>
  %p1:2 = onnx.Split(%h1, %none) {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x6xf32>, none) -> (tensor<?x3xf32>, tensor<?x3xf32>)
  %s1 = onnx.Sigmoid(%p1#0) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %g1 = onnx.Mul(%p1#0, %s1) : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  %a1 = onnx.Mul(%g1, %p1#1) : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  %y1 = onnx.MatMul(%a1, %w2b) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %q1 = onnx.Equal(%ids, %e1) : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %f1 = onnx.Cast(%q1) {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %n1 = onnx.Mul(%f1, %w) : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %m1 = onnx.ReduceSum(%n1, %last) : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %o1 = onnx.Mul(%m1, %y1) : (tensor<?x1xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %sum = onnx.Add(%o0, %o1) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %sum : tensor<?x4xf32>
}

// -----

// Tests that a sum in which an expert comes twice has a weight for each.
// CHECK-LABEL: func.func @same_expert_twice(
// CHECK:         %[[R:.*]] = moe.assign %{{.*}}, %{{.*}} {drops} : tensor<?x2xi64>, tensor<?x2xf32> -> <?x2 of 2>
// CHECK:         moe.experts %{{.*}}, %[[R]] up(%{{.*}} : tensor<2x4x3xf32>)
func.func @same_expert_twice(%x: tensor<?x4xf32>, %ids: tensor<?x1xi64>, %w: tensor<?x1xf32>) -> tensor<?x4xf32> {
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %e0 = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %w1 = moe.weight "fc1" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %w2 = moe.weight "fc2" [#moe.view<"m.onnx", offset = 192, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %h = onnx.MatMul(%x, %w1) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %a = onnx.Relu(%h) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %y = onnx.MatMul(%a, %w2) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %q = onnx.Equal(%ids, %e0) : (tensor<?x1xi64>, tensor<i64>) -> tensor<?x1xi1>
  %f = onnx.Cast(%q) {to = 1 : i64} : (tensor<?x1xi1>) -> tensor<?x1xf32>
  %n = onnx.Mul(%w, %f) : (tensor<?x1xf32>, tensor<?x1xf32>) -> tensor<?x1xf32>
  %m = onnx.ReduceSum(%n, %last) : (tensor<?x1xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %o = onnx.Mul(%y, %m) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %sum = onnx.Add(%o, %o) : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  return %sum : tensor<?x4xf32>
}
