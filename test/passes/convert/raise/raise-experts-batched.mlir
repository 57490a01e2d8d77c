// RUN: moe-opt %s --moe-raise-experts --canonicalize --remarks-filter='moe.*' -o %t.mlir 2> %t.remarks
// RUN: FileCheck %s < %t.mlir
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Tests that gathered matrices, the row on the right of the product, become experts with views in the order E x in x out.

// REMARK: remark: [Passed] experts recognised
// CHECK-LABEL: func @matrix_times_row
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x4xf32>, %[[IDS:[a-z0-9]*]]: tensor<?x2xi64>, %[[WEIGHTS:[a-z0-9]*]]: tensor<?x2xf32>)
func.func @matrix_times_row(%x: tensor<?x4xf32>, %ids: tensor<?x2xi64>, %weights: tensor<?x2xf32>) -> tensor<?x4xf32> {
  // CHECK-DAG: %[[GATE:.*]] = moe.weight "w1" [#moe.view<"m", offset = 0, element = f32, strides = [24, 1, 4]>] : tensor<8x4x3xf32>
  // CHECK-DAG: %[[UP:.*]] = moe.weight "w1" [#moe.view<"m", offset = 48, element = f32, strides = [24, 1, 4]>] : tensor<8x4x3xf32>
  // CHECK-DAG: %[[DOWN:.*]] = moe.weight "w2" [#moe.view<"m", offset = 768, element = f32, strides = [12, 1, 3]>] : tensor<8x3x4xf32>
  // CHECK-DAG: %[[ROUTING:.*]] = moe.assign %[[IDS]], %[[WEIGHTS]]
  // CHECK: %[[Y:.*]] = moe.experts %[[X]], %[[ROUTING]] gate(%[[GATE]] : {{.*}}) up(%[[UP]] : {{.*}}) down(%[[DOWN]] : {{.*}}) {activation = #moe.activation<silu>}
  // CHECK-NOT: onnx.MatMul
  // CHECK: return %[[Y]]
  %w1 = moe.weight "w1" [#moe.view<"m", offset = 0, element = f32, strides = [24, 4, 1]>] : tensor<8x6x4xf32>
  %w2 = moe.weight "w2" [#moe.view<"m", offset = 768, element = f32, strides = [12, 3, 1]>] : tensor<8x4x3xf32>
  %none = onnx.NoValue : none
  %c1 = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %repeat = onnx.Constant() {value = dense<[1, 2, 1]> : tensor<3xi64>} : () -> tensor<3xi64>
  %rows = onnx.Constant() {value = dense<[-1, 4]> : tensor<2xi64>} : () -> tensor<2xi64>
  %slots = onnx.Constant() {value = dense<[-1, 2, 4]> : tensor<3xi64>} : () -> tensor<3xi64>
  %x1 = onnx.Unsqueeze(%x, %c1) : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x1x4xf32>
  %x2 = onnx.Expand(%x1, %repeat) : (tensor<?x1x4xf32>, tensor<3xi64>) -> tensor<?x2x4xf32>
  %x3 = onnx.Reshape(%x2, %rows) : (tensor<?x2x4xf32>, tensor<2xi64>) -> tensor<?x4xf32>
  %i1 = onnx.Reshape(%ids, %last) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %i2 = onnx.Unsqueeze(%i1, %last) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %g1 = onnx.GatherND(%w1, %i2) : (tensor<8x6x4xf32>, tensor<?x1xi64>) -> tensor<?x6x4xf32>
  %x4 = onnx.Unsqueeze(%x3, %last) : (tensor<?x4xf32>, tensor<1xi64>) -> tensor<?x4x1xf32>
  %p1 = onnx.MatMul(%g1, %x4) : (tensor<?x6x4xf32>, tensor<?x4x1xf32>) -> tensor<?x6x1xf32>
  %p2 = onnx.Squeeze(%p1, %last) : (tensor<?x6x1xf32>, tensor<1xi64>) -> tensor<?x6xf32>
  %gate, %up = onnx.Split(%p2, %none) {axis = 1 : i64, num_outputs = 2 : i64} : (tensor<?x6xf32>, none) -> (tensor<?x3xf32>, tensor<?x3xf32>)
  %s = onnx.Sigmoid(%gate) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %a = onnx.Mul(%gate, %s) : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  %h = onnx.Mul(%up, %a) : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  %g2 = onnx.GatherND(%w2, %i2) : (tensor<8x4x3xf32>, tensor<?x1xi64>) -> tensor<?x4x3xf32>
  %h1 = onnx.Unsqueeze(%h, %last) : (tensor<?x3xf32>, tensor<1xi64>) -> tensor<?x3x1xf32>
  %q1 = onnx.MatMul(%g2, %h1) : (tensor<?x4x3xf32>, tensor<?x3x1xf32>) -> tensor<?x4x1xf32>
  %q2 = onnx.Squeeze(%q1, %last) : (tensor<?x4x1xf32>, tensor<1xi64>) -> tensor<?x4xf32>
  %m1 = onnx.Reshape(%weights, %last) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %m2 = onnx.Unsqueeze(%m1, %last) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %v = onnx.Mul(%q2, %m2) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %v1 = onnx.Reshape(%v, %slots) : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x2x4xf32>
  %y = onnx.ReduceSum(%v1, %c1) {keepdims = 0 : i64} : (tensor<?x2x4xf32>, tensor<1xi64>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// Tests that products on both sides of a function that is not known are grouped one by one: the tokens of the first have
// two slots each, the rows of the second, which has the weights, are the assignments.

// REMARK: remark: [Passed] experts recognised
// REMARK-SAME: form="batched experts"
// REMARK: remark: [Passed] experts recognised
// REMARK-SAME: form="grouped products"
// REMARK-NOT: Missed
// CHECK-LABEL: func @unknown_activation
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x4xf32>
// CHECK: %[[ROWS:.*]], %[[OFFSETS:.*]] = moe.permute %{{.*}} {experts = 8 : i64} : tensor<?x1xi64> -> tensor<?xi32>, tensor<9xi32>
// CHECK: %[[H:.*]] = moe.grouped_matmul %[[X]], %{{.*}}, %[[OFFSETS]] rows(%[[ROWS]] : tensor<?xi32>) {slots = 2 : i64}
// CHECK: moe.combine %[[H]], %[[ROWS]],
// CHECK: onnx.Softsign
// CHECK: moe.permute
// CHECK: moe.grouped_matmul
// CHECK-SAME: rows(
// CHECK: moe.combine
// CHECK-NOT: onnx.MatMul
// CHECK: onnx.ReduceSum
func.func @unknown_activation(%x: tensor<?x4xf32>, %ids: tensor<?x2xi64>, %weights: tensor<?x2x1xf32>) -> tensor<?x4xf32> {
  %w1 = moe.weight "w1" [#moe.view<"m", offset = 0, element = f32, strides = [12, 4, 1]>] : tensor<8x3x4xf32>
  %w2 = moe.weight "w2" [#moe.view<"m", offset = 768, element = f32, strides = [12, 3, 1]>] : tensor<8x4x3xf32>
  %last = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %c1 = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %both = onnx.Constant() {value = dense<[1, -1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %x1 = onnx.Unsqueeze(%x, %both) : (tensor<?x4xf32>, tensor<2xi64>) -> tensor<?x1x4x1xf32>
  %g1 = onnx.Gather(%w1, %ids) : (tensor<8x3x4xf32>, tensor<?x2xi64>) -> tensor<?x2x3x4xf32>
  %p1 = onnx.MatMul(%g1, %x1) : (tensor<?x2x3x4xf32>, tensor<?x1x4x1xf32>) -> tensor<?x2x3x1xf32>
  %h = onnx.Softsign(%p1) : (tensor<?x2x3x1xf32>) -> tensor<?x2x3x1xf32>
  %g2 = onnx.Gather(%w2, %ids) : (tensor<8x4x3xf32>, tensor<?x2xi64>) -> tensor<?x2x4x3xf32>
  %q1 = onnx.MatMul(%g2, %h) : (tensor<?x2x4x3xf32>, tensor<?x2x3x1xf32>) -> tensor<?x2x4x1xf32>
  %q2 = onnx.Squeeze(%q1, %last) : (tensor<?x2x4x1xf32>, tensor<1xi64>) -> tensor<?x2x4xf32>
  %v = onnx.Mul(%q2, %weights) : (tensor<?x2x4xf32>, tensor<?x2x1xf32>) -> tensor<?x2x4xf32>
  %y = onnx.ReduceSum(%v, %c1) {keepdims = 0 : i64} : (tensor<?x2x4xf32>, tensor<1xi64>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
