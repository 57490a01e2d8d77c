// RUN: moe-opt %s -split-input-file -convert-onnx-to-linalg -canonicalize -cse | FileCheck %s

// Tests that a float of 8 bits is looked up in a table of all of them.
// CHECK-LABEL: func.func @widen(
// CHECK-SAME:      %[[X:.*]]: tensor<4xi8> {moe.type = f8E4M3FN})
// CHECK:         %[[TABLE:.*]] = arith.constant dense<{{.*}}> : tensor<256xf32>
// CHECK:         %[[INDEX:.*]] = arith.index_castui %{{.*}} : i8 to index
// CHECK:         tensor.extract %[[TABLE]][%[[INDEX]]]
func.func @widen(%x: tensor<4xf8E4M3FN>) -> tensor<4xf32> {
  %y = onnx.Cast(%x) {to = 1 : i64} : (tensor<4xf8E4M3FN>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Tests that a number too large becomes the largest one (448, code 126), or NaN (127) without saturation.
// CHECK-LABEL: func.func @narrow(
// CHECK-SAME:      -> (tensor<4xi8> {moe.type = f8E4M3FN}, tensor<4xi8> {moe.type = f8E4M3FN})
// CHECK-DAG:     %[[LARGEST:.*]] = arith.constant 126 : i32
// CHECK-DAG:     %[[NAN:.*]] = arith.constant 127 : i32
// CHECK-DAG:     %[[LIMIT:.*]] = arith.constant 4.480000e+02 : f32
// CHECK:         math.roundeven
// CHECK:         %[[OVER:.*]] = arith.cmpf ogt, %{{.*}}, %[[LIMIT]]
// CHECK:         arith.select %[[OVER]], %[[LARGEST]]
// CHECK:         %[[AGAIN:.*]] = arith.cmpf ogt, %{{.*}}, %[[LIMIT]]
// CHECK:         arith.select %[[AGAIN]], %[[NAN]]
func.func @narrow(%x: tensor<4xf32>) -> (tensor<4xf8E4M3FN>, tensor<4xf8E4M3FN>) {
  %y = onnx.Cast(%x) {to = 17 : i64} : (tensor<4xf32>) -> tensor<4xf8E4M3FN>
  %z = onnx.Cast(%x) {to = 17 : i64, saturate = 0 : i64} : (tensor<4xf32>) -> tensor<4xf8E4M3FN>
  return %y, %z : tensor<4xf8E4M3FN>, tensor<4xf8E4M3FN>
}

// -----

// Tests that integers of 4 bits keep their low bits, extended with or without a sign.
// CHECK-LABEL: func.func @integers(
// CHECK:         arith.shli %{{.*}}, %c4_i8
// CHECK:         arith.shrsi %{{.*}}, %c4_i8
// CHECK:         arith.shli %{{.*}}, %c4_i8
// CHECK:         arith.shrui %{{.*}}, %c4_i8
func.func @integers(%x: tensor<4xf32>) -> (tensor<4xi4>, tensor<4xui4>) {
  %y = onnx.Cast(%x) {to = 22 : i64} : (tensor<4xf32>) -> tensor<4xi4>
  %z = onnx.Cast(%x) {to = 21 : i64} : (tensor<4xf32>) -> tensor<4xui4>
  return %y, %z : tensor<4xi4>, tensor<4xui4>
}

// -----

// Tests that constants are extended too.
// CHECK-LABEL: func.func @constants(
// CHECK-DAG:     arith.constant dense<[-1, 7]> : tensor<2xi8>
// CHECK-DAG:     arith.constant dense<[15, 7]> : tensor<2xi8>
func.func @constants() -> (tensor<2xi4>, tensor<2xui4>) {
  %x = onnx.Constant() {value = dense<[-1, 7]> : tensor<2xi4>} : () -> tensor<2xi4>
  %y = onnx.Constant() {value = dense<[15, 7]> : tensor<2xui4>} : () -> tensor<2xui4>
  return %x, %y : tensor<2xi4>, tensor<2xui4>
}
