// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that `nearest` copies elements from rounded coordinates, which a table holds for each dimension.
// CHECK-LABEL: func.func @nearest
// CHECK: math.ceil
// CHECK: linalg.generic
// CHECK: tensor.extract %{{.*}} : tensor<1x1x2xf32>
// CHECK: return %{{.*}} : tensor<1x1x5xf32>
func.func @nearest(%x: tensor<1x1x2xf32>) -> tensor<1x1x5xf32> {
  %none = onnx.NoValue : none
  %sizes = onnx.Constant() {value = dense<5> : tensor<1xi64>} : () -> tensor<1xi64>
  %y = onnx.Resize(%x, %none, %none, %sizes) {axes = array<i64: 2>} : (tensor<1x1x2xf32>, none, none, tensor<1xi64>) -> tensor<1x1x5xf32>
  return %y : tensor<1x1x5xf32>
}

// -----

// Tests that `linear` sums two weighted elements, only along the dimension that changes.
// CHECK-LABEL: func.func @linear
// CHECK: ins(%{{.*}}, %{{.*}} : tensor<5x2xi64>, tensor<5x2xf32>)
// CHECK-SAME: outs(%{{.*}} : tensor<1x3x5xf32>)
// CHECK-NOT: tensor<3x2xf32>
// CHECK: return
func.func @linear(%x: tensor<1x3x2xf32>) -> tensor<1x3x5xf32> {
  %none = onnx.NoValue : none
  %sizes = onnx.Constant() {value = dense<[1, 3, 5]> : tensor<3xi64>} : () -> tensor<3xi64>
  %y = onnx.Resize(%x, %none, %none, %sizes) {mode = "linear"} : (tensor<1x3x2xf32>, none, none, tensor<3xi64>) -> tensor<1x3x5xf32>
  return %y : tensor<1x3x5xf32>
}

// -----

// Tests that antialiasing has as many taps as the scale asks for and divides their weights by the sum.
// CHECK-LABEL: func.func @antialias
// CHECK: iterator_types = ["parallel", "reduction"]
// CHECK: arith.divf
// CHECK: ins(%{{.*}}, %{{.*}} : tensor<2x?xi64>, tensor<2x?xf32>)
func.func @antialias(%x: tensor<1x1x8xf32>, %scale: tensor<1xf32>) -> tensor<1x1x2xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Resize(%x, %none, %scale, %none) {antialias = 1 : i64, axes = array<i64: 2>, mode = "cubic"}
      : (tensor<1x1x8xf32>, none, tensor<1xf32>, none) -> tensor<1x1x2xf32>
  return %y : tensor<1x1x2xf32>
}
