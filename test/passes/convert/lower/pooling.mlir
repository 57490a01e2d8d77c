// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that the greatest element under a window is found in an input padded with the least number; the window of
// place p is 2 * p + tap.
// CHECK: #[[WINDOW:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2 * 2 + d3)>
// CHECK-LABEL: func.func @max_pool
// CHECK: %[[LEAST:.*]] = arith.constant 0xFF800000 : f32
// CHECK: linalg.fill ins(%[[LEAST]] : f32) outs(%{{.*}} : tensor<1x2x8xf32>)
// CHECK: tensor.insert_slice
// CHECK: linalg.generic {indexing_maps = [#[[WINDOW]],
// CHECK-SAME: iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK: arith.maximumf
func.func @max_pool(%x: tensor<1x2x7xf32>) -> tensor<1x2x3xf32> {
  %y, %i = onnx.MaxPool(%x) {kernel_shape = array<i64: 3>, strides = array<i64: 2>, pads = array<i64: 1, 0>}
      : (tensor<1x2x7xf32>) -> (tensor<1x2x3xf32>, none)
  return %y : tensor<1x2x3xf32>
}

// -----

// Tests that the places of the greatest elements are a second result, and that bytes are compared without sign.
// CHECK-LABEL: func.func @max_pool_indices
// CHECK: linalg.generic
// CHECK-SAME: outs(%{{.*}}, %{{.*}} : tensor<1x1x2x2xi8>, tensor<1x1x2x2xi64>)
// CHECK: arith.cmpi ugt
func.func @max_pool_indices(%x: tensor<1x1x3x3xui8>) -> (tensor<1x1x2x2xui8>, tensor<1x1x2x2xi64>) {
  %y, %i = onnx.MaxPool(%x) {kernel_shape = array<i64: 2, 2>} : (tensor<1x1x3x3xui8>) -> (tensor<1x1x2x2xui8>, tensor<1x1x2x2xi64>)
  return %y, %i : tensor<1x1x2x2xui8>, tensor<1x1x2x2xi64>
}

// -----

// Tests that a mean without padding divides by the size of the window, and that one with padding counts the elements.
// CHECK-LABEL: func.func @average_pool
// CHECK: %[[FOUR:.*]] = arith.constant 4.000000e+00 : f32
// CHECK: arith.divf %{{.*}}, %[[FOUR]] : f32
// CHECK: linalg.index 2
// CHECK: arith.divf
func.func @average_pool(%x: tensor<1x1x4x4xf32>) -> (tensor<1x1x3x3xf32>, tensor<1x1x5x5xf32>) {
  %y = onnx.AveragePool(%x) {kernel_shape = array<i64: 2, 2>} : (tensor<1x1x4x4xf32>) -> tensor<1x1x3x3xf32>
  %z = onnx.AveragePool(%x) {kernel_shape = array<i64: 2, 2>, pads = array<i64: 1, 1, 1, 1>} : (tensor<1x1x4x4xf32>) -> tensor<1x1x5x5xf32>
  return %y, %z : tensor<1x1x3x3xf32>, tensor<1x1x5x5xf32>
}

// -----

// Tests that with ceil_mode a last window may reach beyond the input, but must begin in it.
// CHECK-LABEL: func.func @round_up
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 0, 0] [1, 1, 4] [1, 1, 1] : tensor<1x1x4xf32> into tensor<1x1x5xf32>
// CHECK: return %{{.*}} : tensor<1x1x2xf32>
func.func @round_up(%x: tensor<1x1x4xf32>) -> tensor<1x1x2xf32> {
  %y, %i = onnx.MaxPool(%x) {ceil_mode = 1 : i64, kernel_shape = array<i64: 3>, strides = array<i64: 2>}
      : (tensor<1x1x4xf32>) -> (tensor<1x1x2xf32>, none)
  return %y : tensor<1x1x2xf32>
}

// -----

// Tests that a norm is a root of a sum of powers, and that global poolings are reductions.
// CHECK-LABEL: func.func @norms
// CHECK: math.absf
// CHECK: math.powf
// CHECK: math.powf
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
// CHECK: iterator_types = ["parallel", "parallel", "reduction"]
func.func @norms(%x: tensor<1x2x6xf32>) -> (tensor<1x2x4xf32>, tensor<1x2x1xf32>, tensor<1x2x1xf32>) {
  %y = onnx.LpPool(%x) {kernel_shape = array<i64: 3>, p = 3 : i64} : (tensor<1x2x6xf32>) -> tensor<1x2x4xf32>
  %z = onnx.GlobalAveragePool(%x) : (tensor<1x2x6xf32>) -> tensor<1x2x1xf32>
  %w = onnx.GlobalMaxPool(%x) : (tensor<1x2x6xf32>) -> tensor<1x2x1xf32>
  return %y, %z, %w : tensor<1x2x4xf32>, tensor<1x2x1xf32>, tensor<1x2x1xf32>
}

// -----

// Tests that indices are checked before elements are put back to them.
// CHECK-LABEL: func.func @unpool
// CHECK: cf.assert %{{.*}}, "index out of range"
// CHECK: scf.for
// CHECK: tensor.insert
func.func @unpool(%x: tensor<1x1x2xf32>, %i: tensor<1x1x2xi64>) -> tensor<1x1x4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.MaxUnpool(%x, %i, %none) {kernel_shape = array<i64: 2>, strides = array<i64: 2>}
      : (tensor<1x1x2xf32>, tensor<1x1x2xi64>, none) -> tensor<1x1x4xf32>
  return %y : tensor<1x1x4xf32>
}
