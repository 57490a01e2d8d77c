// RUN: moe-opt %s -split-input-file -convert-onnx-to-linalg -canonicalize -cse | FileCheck %s

// Tests that a Range from 0 by 1 has its limit as extent.
// CHECK-LABEL: func.func @range(
// CHECK-SAME:      %[[X:.*]]: tensor<?xf32>
// CHECK-DAG:     %[[ZERO:.*]] = arith.constant 0 : index
// CHECK:         %[[COUNT:.*]] = tensor.dim %[[X]], %[[ZERO]]
// CHECK:         tensor.empty(%[[COUNT]]) : tensor<?xi64>
// CHECK:           linalg.index 0
func.func @range(%x: tensor<?xf32>) -> tensor<?xi64> {
  %none = onnx.NoValue : none
  %zero = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %one = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %shape = onnx.Shape(%x) : (tensor<?xf32>) -> tensor<1xi64>
  %limit = onnx.Squeeze(%shape, %none) : (tensor<1xi64>, none) -> tensor<i64>
  %y = onnx.Range(%zero, %limit, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  return %y : tensor<?xi64>
}

// -----

// Tests that a step known at run time is checked, and that a zero does not trap before.
// CHECK-LABEL: func.func @range_step(
// CHECK:         %[[IS_STEP:.*]] = arith.cmpi ne
// CHECK:         cf.assert %[[IS_STEP]], "Range: the step is 0"
// CHECK:         %[[DIVISOR:.*]] = arith.select
// CHECK:         arith.ceildivsi %{{.*}}, %[[DIVISOR]]
func.func @range_step(%start: tensor<i32>, %limit: tensor<i32>, %step: tensor<i32>) -> tensor<?xi32> {
  %y = onnx.Range(%start, %limit, %step) : (tensor<i32>, tensor<i32>, tensor<i32>) -> tensor<?xi32>
  return %y : tensor<?xi32>
}

// -----

// Tests that a Tile of unit dimensions is a broadcast, and that others wrap around.
// CHECK-DAG:   #[[UNIT:.*]] = affine_map<(d0, d1) -> (d0, 0)>
// CHECK-LABEL: func.func @tile(
// CHECK:         linalg.generic
// CHECK-SAME:        #[[UNIT]]
// CHECK:         arith.remui
// CHECK:         tensor.extract
func.func @tile(%x: tensor<?x1xf32>) -> (tensor<?x3xf32>, tensor<?x1xf32>) {
  %columns = onnx.Constant() {value = dense<[1, 3]> : tensor<2xi64>} : () -> tensor<2xi64>
  %rows = onnx.Constant() {value = dense<[2, 1]> : tensor<2xi64>} : () -> tensor<2xi64>
  %y = onnx.Tile(%x, %columns) : (tensor<?x1xf32>, tensor<2xi64>) -> tensor<?x3xf32>
  %z = onnx.Tile(%x, %rows) : (tensor<?x1xf32>, tensor<2xi64>) -> tensor<?x1xf32>
  return %y, %z : tensor<?x3xf32>, tensor<?x1xf32>
}

// -----

// Tests that positive pads are filled and negative ones cut.
// CHECK-LABEL: func.func @pad(
// CHECK-SAME:      %[[X:.*]]: tensor<2x4xf32>
// CHECK:         %[[KEPT:.*]] = tensor.extract_slice %[[X]][0, 1] [2, 3] [1, 1]
// CHECK:         %[[FILLED:.*]] = linalg.fill
// CHECK:         tensor.insert_slice %[[KEPT]] into %[[FILLED]][1, 0] [2, 3] [1, 1]
func.func @pad(%x: tensor<2x4xf32>) -> tensor<3x3xf32> {
  %none = onnx.NoValue : none
  %pads = onnx.Constant() {value = dense<[1, -1, 0, 0]> : tensor<4xi64>} : () -> tensor<4xi64>
  %y = onnx.Pad(%x, %pads, %none, %none) : (tensor<2x4xf32>, tensor<4xi64>, none, none) -> tensor<3x3xf32>
  return %y : tensor<3x3xf32>
}

// -----

// Tests that a shape vector of dynamic length is checked against the rank.
// CHECK-LABEL: func.func @reshape(
// CHECK:         cf.assert %{{.*}}, "expected a vector of 2 elements"
// CHECK:         cf.assert %{{.*}}, "Reshape: the new shape has another number of elements"
func.func @reshape(%x: tensor<?xf32>, %shape: tensor<?xi64>) -> tensor<?x?xf32> {
  %y = onnx.Reshape(%x, %shape) : (tensor<?xf32>, tensor<?xi64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Tests that the extents of the parts of a concatenation are compared but along its axis.
// CHECK-LABEL: func.func @concat(
// CHECK-SAME:      %[[X:.*]]: tensor<?x?xf32>, %[[Y:.*]]: tensor<?x?xf32>
// CHECK-DAG:     %[[ONE:.*]] = arith.constant 1 : index
// CHECK-DAG:     %[[WIDTH:.*]] = tensor.dim %[[X]], %[[ONE]]
// CHECK-DAG:     %[[OTHER:.*]] = tensor.dim %[[Y]], %[[ONE]]
// CHECK:         %[[EQUAL:.*]] = arith.cmpi eq, %[[WIDTH]], %[[OTHER]]
// CHECK:         cf.assert %[[EQUAL]], "expected tensors of equal extents but for the axis of a concatenation"
func.func @concat(%x: tensor<?x?xf32>, %y: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %z = onnx.Concat(%x, %y) {axis = 0 : i64} : (tensor<?x?xf32>, tensor<?x?xf32>) -> tensor<?x?xf32>
  return %z : tensor<?x?xf32>
}
