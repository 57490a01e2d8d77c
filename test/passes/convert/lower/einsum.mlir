// RUN: moe-opt --convert-onnx-to-linalg --canonicalize %s | FileCheck %s

// Tests that shared labels of the result are batches and that the label which
// only the factors have is summed.
// CHECK-LABEL: func.func @batched
// CHECK: linalg.batch_matmul ins(%{{.*}}, %{{.*}} : tensor<2x3x4xf32>, tensor<2x4x5xf32>)
func.func @batched(%a: tensor<2x3x4xf32>, %b: tensor<2x4x5xf32>) -> tensor<2x3x5xf32> {
  %y = onnx.Einsum(%a, %b) {equation = "bij, bjk -> bik"} : (tensor<2x3x4xf32>, tensor<2x4x5xf32>) -> tensor<2x3x5xf32>
  return %y : tensor<2x3x5xf32>
}

// Tests that a weight in another order is a view, not a transposition.
// CHECK-LABEL: func.func @weight
// CHECK: moe.weight "w" [#moe.view<"model.onnx", offset = 0, element = f32, strides = [1, 4]>] : tensor<4x6xf32>
// CHECK-NOT: linalg.transpose
// CHECK: linalg.matmul
func.func @weight(%a: tensor<?x4xf32>) -> tensor<?x6xf32> {
  %w = moe.weight "w" [#moe.view<"model.onnx", offset = 0, element = f32, strides = [4, 1]>] : tensor<6x4xf32>
  %y = onnx.Einsum(%a, %w) {equation = "td,od->to"} : (tensor<?x4xf32>, tensor<6x4xf32>) -> tensor<?x6xf32>
  return %y : tensor<?x6xf32>
}

// Tests the implicit result, the sorted labels that occur once.
// CHECK-LABEL: func.func @implicit
// CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<3x4xf32>, tensor<4x5xf32>)
// CHECK: linalg.transpose ins(%{{.*}} : tensor<3x5xf32>)
func.func @implicit(%a: tensor<3x4xf32>, %b: tensor<4x5xf32>) -> tensor<5x3xf32> {
  %y = onnx.Einsum(%a, %b) {equation = "zj,ja"} : (tensor<3x4xf32>, tensor<4x5xf32>) -> tensor<5x3xf32>
  return %y : tensor<5x3xf32>
}

// Tests that a repeated label takes the diagonal.
// CHECK-LABEL: func.func @trace
// CHECK: tensor.extract %{{.*}}[%[[I:.*]], %[[I]]] : tensor<4x4xf32>
// CHECK: iterator_types = ["reduction"]
func.func @trace(%a: tensor<4x4xf32>) -> tensor<f32> {
  %y = onnx.Einsum(%a) {equation = "ii->"} : (tensor<4x4xf32>) -> tensor<f32>
  return %y : tensor<f32>
}

// Tests that the dimensions of an ellipsis broadcast.
// CHECK-LABEL: func.func @ellipsis
// CHECK: linalg.matmul ins(%{{.*}}, %{{.*}} : tensor<6x4xf32>, tensor<4x5xf32>)
// CHECK: return %{{.*}} : tensor<2x3x5xf32>
func.func @ellipsis(%a: tensor<2x3x4xf32>, %b: tensor<1x4x5xf32>) -> tensor<2x3x5xf32> {
  %y = onnx.Einsum(%a, %b) {equation = "...ij,...jk->...ik"} : (tensor<2x3x4xf32>, tensor<1x4x5xf32>) -> tensor<2x3x5xf32>
  return %y : tensor<2x3x5xf32>
}
