// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that an axis known at run time only has an extent of 1 if it is to go.
// CHECK-LABEL: func.func @squeeze
// CHECK: cf.assert %{{.*}}, "axis out of range"
// CHECK: cf.assert %{{.*}}, "Squeeze: expected an extent of 1"
// CHECK: return %{{.*}} : tensor<?x?xf32>
func.func @squeeze(%x: tensor<?x?x?xf32>, %axes: tensor<1xi64>) -> tensor<?x?xf32> {
  %y = onnx.Squeeze(%x, %axes) : (tensor<?x?x?xf32>, tensor<1xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Tests that axes known at run time only must differ.
// CHECK-LABEL: func.func @unsqueeze
// CHECK: cf.assert %{{.*}}, "Unsqueeze: expected axes that differ"
// CHECK: return %{{.*}} : tensor<?x?x?xf32>
func.func @unsqueeze(%x: tensor<4xf32>, %axes: tensor<2xi64>) -> tensor<?x?x?xf32> {
  %y = onnx.Unsqueeze(%x, %axes) : (tensor<4xf32>, tensor<2xi64>) -> tensor<?x?x?xf32>
  return %y : tensor<?x?x?xf32>
}

// -----

// Tests that pads go to the axis that they belong to.
// CHECK-LABEL: func.func @pad
// CHECK: cf.assert %{{.*}}, "axis out of range"
// CHECK: arith.select
// CHECK: tensor.insert_slice
func.func @pad(%x: tensor<4x3xf32>, %pads: tensor<2xi64>, %axis: tensor<1xi64>) -> tensor<?x?xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Pad(%x, %pads, %none, %axis) : (tensor<4x3xf32>, tensor<2xi64>, none, tensor<1xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}
