// RUN: moe-opt %s -split-input-file --moe-raise-experts --moe-raise-routers --canonicalize --remarks-filter='moe.*' -o %t.mlir 2> %t.remarks
// RUN: FileCheck %s < %t.mlir
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks

// Tests that experts with rows of their own, whatever filled them, are one operation: a row goes to the expert of its place.
// REMARK: experts recognised
// REMARK-SAME: dispatched rows
// REMARK: the graph brings rows to experts
// CHECK-LABEL: func @rows_of_experts
// CHECK-SAME: (%[[X:[a-z0-9]*]]: tensor<?x2x?x4xf32>)
func.func @rows_of_experts(%rows: tensor<?x2x?x4xf32>) -> tensor<?x2x?x4xf32> {
  // CHECK-DAG: %[[M:.*]] = onnx.Reshape(%[[X]], {{.*}} -> tensor<?x4xf32>
  // CHECK-DAG: onnx.Constant() {value = dense<{{\[\[\[\[}}0]], {{\[\[}}1]]]]> : tensor<1x2x1x1xi64>}
  // CHECK: %[[R:.*]] = moe.assign %{{.*}}, %{{.*}} : tensor<?x1xi64>, tensor<?x1xf32> -> <?x1 of 2>
  // CHECK: %[[Y:.*]] = moe.experts %[[M]], %[[R]] gate(
  // CHECK: onnx.Reshape(%[[Y]], %{{.*}}) : (tensor<?x4xf32>, tensor<4xi64>) -> tensor<?x2x?x4xf32>
  // CHECK-NOT: onnx.MatMul
  %g = moe.weight "g" [#moe.view<"m", offset = 0, element = f32, strides = [12, 3, 1]>] : tensor<2x4x3xf32>
  %u = moe.weight "u" [#moe.view<"m", offset = 96, element = f32, strides = [12, 3, 1]>] : tensor<2x4x3xf32>
  %d = moe.weight "d" [#moe.view<"m", offset = 192, element = f32, strides = [12, 4, 1]>] : tensor<2x3x4xf32>
  %p = onnx.MatMul(%rows, %g) : (tensor<?x2x?x4xf32>, tensor<2x4x3xf32>) -> tensor<?x2x?x3xf32>
  %s = onnx.Sigmoid(%p) : (tensor<?x2x?x3xf32>) -> tensor<?x2x?x3xf32>
  %a = onnx.Mul(%p, %s) : (tensor<?x2x?x3xf32>, tensor<?x2x?x3xf32>) -> tensor<?x2x?x3xf32>
  %q = onnx.MatMul(%rows, %u) : (tensor<?x2x?x4xf32>, tensor<2x4x3xf32>) -> tensor<?x2x?x3xf32>
  %h = onnx.Mul(%a, %q) : (tensor<?x2x?x3xf32>, tensor<?x2x?x3xf32>) -> tensor<?x2x?x3xf32>
  %y = onnx.MatMul(%h, %d) : (tensor<?x2x?x3xf32>, tensor<2x3x4xf32>) -> tensor<?x2x?x4xf32>
  return %y : tensor<?x2x?x4xf32>
}

// -----

// Tests that two products without a function between them are no experts.
// CHECK-LABEL: func @two_products
// CHECK-NOT: moe.experts
func.func @two_products(%rows: tensor<2x?x4xf32>) -> tensor<2x?x4xf32> {
  %u = moe.weight "u" [#moe.view<"m", offset = 96, element = f32, strides = [12, 3, 1]>] : tensor<2x4x3xf32>
  %d = moe.weight "d" [#moe.view<"m", offset = 192, element = f32, strides = [12, 4, 1]>] : tensor<2x3x4xf32>
  %h = onnx.MatMul(%rows, %u) : (tensor<2x?x4xf32>, tensor<2x4x3xf32>) -> tensor<2x?x3xf32>
  %y = onnx.MatMul(%h, %d) : (tensor<2x?x3xf32>, tensor<2x3x4xf32>) -> tensor<2x?x4xf32>
  return %y : tensor<2x?x4xf32>
}
