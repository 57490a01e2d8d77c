// RUN: moe-opt %s -split-input-file -convert-onnx-to-linalg -canonicalize -cse | FileCheck %s

// Tests that a mean of halves is summed in f32, by an addition that may be reordered, and rounded once.
// CHECK-LABEL: func.func @mean(
// CHECK-SAME:      %[[X:.*]]: tensor<?x64xf16>
// CHECK-DAG:     %[[COUNT:.*]] = arith.constant 6.400000e+01 : f32
// CHECK:         arith.extf %{{.*}} : f16 to f32
// CHECK:         linalg.generic
// CHECK-SAME:        iterator_types = ["parallel", "reduction"]
// CHECK:           arith.addf %{{.*}}, %{{.*}} fastmath<reassoc> : f32
// CHECK:         arith.divf %{{.*}}, %[[COUNT]] : f32
// CHECK:         arith.truncf %{{.*}} : f32 to f16
func.func @mean(%x: tensor<?x64xf16>) -> tensor<?x1xf16> {
  %axes = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %y = onnx.ReduceMean(%x, %axes) : (tensor<?x64xf16>, tensor<1xi64>) -> tensor<?x1xf16>
  return %y : tensor<?x1xf16>
}

// -----

// Tests that without axes every dimension is reduced, and that the shape goes without them.
// CHECK-LABEL: func.func @all(
// CHECK:         linalg.generic
// CHECK-SAME:        iterator_types = ["reduction", "reduction"]
// CHECK-SAME:        outs(%{{.*}} : tensor<i64>)
func.func @all(%x: tensor<?x?xi64>) -> tensor<i64> {
  %none = onnx.NoValue : none
  %y = onnx.ReduceMax(%x, %none) {keepdims = 0 : i64} : (tensor<?x?xi64>, none) -> tensor<i64>
  return %y : tensor<i64>
}

// -----

// Tests that noop_with_empty_axes leaves the elements, but squares them.
// CHECK-LABEL: func.func @noop(
// CHECK:         arith.mulf
// CHECK-NOT:     "reduction"
// CHECK:         return
func.func @noop(%x: tensor<4xf32>) -> tensor<4xf32> {
  %none = onnx.NoValue : none
  %y = onnx.ReduceSumSquare(%x, %none) {noop_with_empty_axes = 1 : i64} : (tensor<4xf32>, none) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Tests that the greatest of unsigned numbers and of booleans is found without sign.
// CHECK-LABEL: func.func @unsigned(
// CHECK-COUNT-2: arith.maxui
func.func @unsigned(%x: tensor<4xui8>, %b: tensor<4xi1>) -> (tensor<1xui8>, tensor<1xi1>) {
  %none = onnx.NoValue : none
  %y = onnx.ReduceMax(%x, %none) : (tensor<4xui8>, none) -> tensor<1xui8>
  %z = onnx.ReduceMax(%b, %none) : (tensor<4xi1>, none) -> tensor<1xi1>
  return %y, %z : tensor<1xui8>, tensor<1xi1>
}

// -----

// Tests that the logarithm of a sum of exponentials subtracts the greatest element first.
// CHECK-LABEL: func.func @log_sum_exp(
// CHECK:         %[[GREATEST:.*]] = arith.maximumf
// CHECK:         %[[DISTANCE:.*]] = arith.subf
// CHECK:         math.exp %[[DISTANCE]]
// CHECK:         %[[LOG:.*]] = math.log
// CHECK:         arith.addf %[[LOG]]
func.func @log_sum_exp(%x: tensor<?x8xf32>) -> tensor<?xf32> {
  %axes = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %y = onnx.ReduceLogSumExp(%x, %axes) {keepdims = 0 : i64} : (tensor<?x8xf32>, tensor<1xi64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Tests that an axis known at run time only is checked, and reduced in a view of three dimensions.
// CHECK-LABEL: func.func @run_time_axis(
// CHECK:         cf.assert %{{.*}}, "axis out of range"
// CHECK:         linalg.generic
// CHECK-SAME:        iterator_types = ["parallel", "reduction", "parallel"]
// CHECK:         return %{{.*}} : tensor<4xf32>
func.func @run_time_axis(%x: tensor<4x3xf32>, %axes: tensor<1xi64>) -> tensor<4xf32> {
  %y = onnx.ReduceSum(%x, %axes) {keepdims = 0 : i64} : (tensor<4x3xf32>, tensor<1xi64>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
