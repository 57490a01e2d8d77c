// RUN: moe-opt %s -split-input-file --moe-refine-shapes | FileCheck %s
// Tests that extents which constants tell are written into types, and that types of results stay.

// CHECK-LABEL: func @slice_then_sigmoid
func.func @slice_then_sigmoid(%x: tensor<?x64xf32, #onnx.dims<"tokens", "">>) -> tensor<?x?xf32> {
  %none = onnx.NoValue : none
  %zero = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %end = onnx.Constant() {value = dense<9223372036854775807> : tensor<1xi64>} : () -> tensor<1xi64>
  %axis = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %step = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  // CHECK: onnx.Slice{{.*}} -> tensor<?x32xf32, #onnx.dims<"tokens", "">>
  %half = onnx.Slice(%x, %zero, %end, %axis, %step) : (tensor<?x64xf32, #onnx.dims<"tokens", "">>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32, #onnx.dims<"tokens", "cut">>
  // CHECK: onnx.Sigmoid{{.*}} -> tensor<?x32xf32>
  %s = onnx.Sigmoid(%half) : (tensor<?x?xf32, #onnx.dims<"tokens", "cut">>) -> tensor<?x?xf32>
  // The result of the function keeps its type.
  // CHECK: onnx.Relu{{.*}} -> tensor<?x?xf32>
  %y = onnx.Relu(%s) : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// CHECK-LABEL: func @tile_then_reshape
func.func @tile_then_reshape(%x: tensor<?x1x8xf32>) -> tensor<?x?xf32> {
  %repeats = onnx.Constant() {value = dense<[1, 4, 1]> : tensor<3xi64>} : () -> tensor<3xi64>
  %shape = onnx.Constant() {value = dense<[-1, 8]> : tensor<2xi64>} : () -> tensor<2xi64>
  // CHECK: onnx.Tile{{.*}} -> tensor<?x4x8xf32>
  %t = onnx.Tile(%x, %repeats) : (tensor<?x1x8xf32>, tensor<3xi64>) -> tensor<?x?x?xf32>
  // CHECK: onnx.Reshape{{.*}} -> tensor<?x8xf32>
  %r = onnx.Reshape(%t, %shape) : (tensor<?x?x?xf32>, tensor<2xi64>) -> tensor<?x?xf32>
  %y = onnx.Relu(%r) : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Nothing is known about bounds that only a run tells.
// CHECK-LABEL: func @unknown_bounds
func.func @unknown_bounds(%x: tensor<?x64xf32>, %end: tensor<1xi64>) -> tensor<?x?xf32> {
  %zero = onnx.Constant() {value = dense<0> : tensor<1xi64>} : () -> tensor<1xi64>
  %one = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  // CHECK: onnx.Slice{{.*}} -> tensor<?x?xf32>
  %part = onnx.Slice(%x, %zero, %end, %one, %one) : (tensor<?x64xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  %y = onnx.Relu(%part) : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
