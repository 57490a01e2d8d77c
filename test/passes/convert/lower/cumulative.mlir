// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --cse --split-input-file %s | FileCheck %s

// Tests that an exclusive product writes what was before, starting with 1.
// CHECK-LABEL: func.func @exclusive_product
// CHECK: %[[ONE:.*]] = arith.constant 1.000000e+00 : f32
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %{{.*}}, %[[STATE:.*]] = %[[ONE]])
// CHECK: arith.mulf %[[STATE]], %{{.*}} : f32
// CHECK: tensor.insert %[[STATE]] into
func.func @exclusive_product(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %axis = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %y = onnx.CumProd(%x, %axis) {exclusive = 1 : i64} : (tensor<2x3xf32>, tensor<i64>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

// Tests that an axis of the run is checked, and splits the tensor into what lies before it, at it and behind it.
// CHECK-LABEL: func.func @runtime_axis
// CHECK: cf.assert %{{.*}}, "axis out of range"
// CHECK: tensor.expand_shape %{{.*}} : tensor<?xf32> into tensor<?x?x?xf32>
// CHECK: arith.addf
// CHECK: return %{{.*}} : tensor<2x3xf32>
func.func @runtime_axis(%x: tensor<2x3xf32>, %axis: tensor<i64>) -> tensor<2x3xf32> {
  %y = onnx.CumSum(%x, %axis) : (tensor<2x3xf32>, tensor<i64>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}
