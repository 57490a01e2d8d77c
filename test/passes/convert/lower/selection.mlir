// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that the first of equal entries wins.
// CHECK-LABEL: func.func @arg_max
// CHECK: linalg.generic {{.*}}iterator_types = ["parallel", "reduction"]
// CHECK: arith.cmpf ogt
func.func @arg_max(%x: tensor<?x8xf32>) -> tensor<?xi64> {
  %y = onnx.ArgMax(%x) {axis = 1 : i64, keepdims = 0 : i64} : (tensor<?x8xf32>) -> tensor<?xi64>
  return %y : tensor<?xi64>
}

// -----

// Tests that the last of equal entries wins on demand.
// CHECK-LABEL: func.func @arg_min_last
// CHECK: arith.cmpi sle
func.func @arg_min_last(%x: tensor<?x8xi64>) -> tensor<?x1xi64> {
  %y = onnx.ArgMin(%x) {axis = 1 : i64, select_last_index = 1 : i64} : (tensor<?x8xi64>) -> tensor<?x1xi64>
  return %y : tensor<?x1xi64>
}

// -----

// Tests that places are counted, then listed in order.
// CHECK-LABEL: func.func @non_zero
// CHECK: %[[COUNT:.*]] = arith.index_cast
// CHECK: %[[PLACES:.*]] = tensor.empty(%[[COUNT]]) : tensor<2x?xi64>
// CHECK: scf.for {{.*}} iter_args(%{{.*}} = %[[PLACES]], %{{.*}} = %c0)
// CHECK: scf.if
// CHECK: tensor.insert
// CHECK: tensor.insert
func.func @non_zero(%x: tensor<?x4xi1>) -> tensor<2x?xi64> {
  %y = onnx.NonZero(%x) : (tensor<?x4xi1>) -> tensor<2x?xi64>
  return %y : tensor<2x?xi64>
}

// -----

// Tests that an exclusive sum is written before the addition, from the end.
// CHECK-LABEL: func.func @cum_sum
// CHECK: scf.for %{{.*}} iter_args(%{{.*}}, %[[SUM:.*]] =
// CHECK: %[[PLACE:.*]] = arith.subi
// CHECK: %[[NEXT:.*]] = tensor.extract %{{.*}}[%[[PLACE]]]
// CHECK: tensor.insert %[[SUM]] into
func.func @cum_sum(%x: tensor<?xf32>) -> tensor<?xf32> {
  %axis = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %y = onnx.CumSum(%x, %axis) {exclusive = 1 : i64, reverse = 1 : i64} : (tensor<?xf32>, tensor<i64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Tests that the new dimension is compared with the index.
// CHECK-LABEL: func.func @one_hot
// CHECK: %[[PLACE:.*]] = linalg.index 1
// CHECK: %[[HOT:.*]] = arith.cmpi eq, %{{.*}}, %[[PLACE]]
// CHECK: arith.select %[[HOT]]
func.func @one_hot(%indices: tensor<?xi64>, %values: tensor<2xf32>) -> tensor<?x8xf32> {
  %depth = onnx.Constant() {value = dense<8> : tensor<i64>} : () -> tensor<i64>
  %y = onnx.OneHot(%indices, %depth, %values) : (tensor<?xi64>, tensor<i64>, tensor<2xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

// Tests that the lower triangle has columns up to the row.
// CHECK-LABEL: func.func @trilu
// CHECK: %[[ROW:.*]] = linalg.index 0
// CHECK: %[[COLUMN:.*]] = linalg.index 1
// CHECK: arith.cmpi sle, %[[COLUMN]], %[[ROW]]
func.func @trilu(%x: tensor<?x?xf32>) -> tensor<?x?xf32> {
  %none = onnx.NoValue : none
  %y = onnx.Trilu(%x, %none) {upper = 0 : i64} : (tensor<?x?xf32>, none) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Tests that chosen rows are copied.
// CHECK-LABEL: func.func @compress
// CHECK: cf.assert %{{.*}}, "the condition of Compress is longer than the extent"
// CHECK: scf.for
// CHECK: linalg.generic
// CHECK: return %{{.*}} : tensor<?x4xf32>
func.func @compress(%x: tensor<?x4xf32>, %condition: tensor<?xi1>) -> tensor<?x4xf32> {
  %y = onnx.Compress(%x, %condition) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?xi1>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Tests that a few entries are found by scans, NaN below every number.
// CHECK-LABEL: func.func @top_k
// CHECK-NOT: math.ctlz
// CHECK: scf.for
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.cmpf ord
// CHECK: arith.cmpf ugt
func.func @top_k(%x: tensor<?x8xf32>) -> (tensor<?x2xf32>, tensor<?x2xi64>) {
  %k = onnx.Constant() {value = dense<2> : tensor<1xi64>} : () -> tensor<1xi64>
  %v, %i = onnx.TopK(%x, %k) : (tensor<?x8xf32>, tensor<1xi64>) -> (tensor<?x2xf32>, tensor<?x2xi64>)
  return %v, %i : tensor<?x2xf32>, tensor<?x2xi64>
}

// -----

// Tests that an unknown number of entries is checked and found by sorting.
// CHECK-LABEL: func.func @sort
// CHECK: cf.assert %{{.*}}, "'k' of TopK exceeds the extent"
// CHECK: math.ctlz
// CHECK: linalg.copy
func.func @sort(%x: tensor<?xi64>, %k: tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>) {
  %v, %i = onnx.TopK(%x, %k) {largest = 0 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
  return %v, %i : tensor<?xi64>, tensor<?xi64>
}

// -----

// Tests that the first greatest entry becomes 1.
// CHECK-LABEL: func.func @hardmax(
// CHECK: arith.cmpf ogt
// CHECK: %[[PLACE:.*]] = linalg.index 1
// CHECK: arith.cmpi eq
// CHECK: arith.select %{{.*}}, %cst{{.*}}, %cst
func.func @hardmax(%x: tensor<?x8xf32>) -> tensor<?x8xf32> {
  %y = onnx.Hardmax(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}
