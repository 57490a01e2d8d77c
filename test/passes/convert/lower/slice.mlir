// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that a slice whose axes and steps are known is a view.
// CHECK-LABEL: func.func @view
// CHECK: tensor.extract_slice %{{.*}}[0, 1] [4, 2] [1, 2] : tensor<4x6xf32> to tensor<4x2xf32>
func.func @view(%x: tensor<4x6xf32>) -> tensor<4x2xf32> {
  %start = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %end = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %axis = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %step = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %y = onnx.Slice(%x, %start, %end, %axis, %step) : (tensor<4x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<4x2xf32>
  return %y : tensor<4x2xf32>
}

// -----

// Tests that axes and steps known at run time only are checked, and that elements are then read one by one.
// CHECK-LABEL: func.func @run_time
// CHECK: cf.assert %{{.*}}, "axis out of range"
// CHECK: cf.assert %{{.*}}, "Slice: the step is 0"
// CHECK: linalg.generic
// CHECK: tensor.extract
func.func @run_time(%x: tensor<4x6xf32>, %start: tensor<1xi64>, %end: tensor<1xi64>, %axis: tensor<1xi64>, %step: tensor<1xi64>) -> tensor<?x?xf32> {
  %y = onnx.Slice(%x, %start, %end, %axis, %step) : (tensor<4x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>, tensor<1xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
