// RUN: moe-opt --convert-onnx-to-linalg %s -verify-diagnostics

// Tests that there is a start for every axis.
func.func @lengths(%x: tensor<4x6xf32>, %start: tensor<1xi64>, %end: tensor<1xi64>, %axes: tensor<2xi64>) -> tensor<?x?xf32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected starts, ends, axes and steps of one length, at most 2}}
  %y = onnx.Slice(%x, %start, %end, %axes, %none) : (tensor<4x6xf32>, tensor<1xi64>, tensor<1xi64>, tensor<2xi64>, none) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
