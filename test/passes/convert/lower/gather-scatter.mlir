// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --split-input-file %s | FileCheck %s

// Tests that indices are checked once and that negative ones count from the end.
// CHECK-LABEL: func.func @gather
// CHECK-SAME: %[[DATA:[a-z0-9]+]]: tensor<?x4xf32>, %[[INDICES:[a-z0-9]+]]: tensor<3xi64>
// CHECK: %[[EXTENT:.*]] = tensor.dim %[[DATA]]
// CHECK: arith.minsi
// CHECK: arith.maxsi
// CHECK: cf.assert %{{.*}}, "index out of range"
// CHECK: linalg.generic
// CHECK: %[[INDEX:.*]] = tensor.extract %[[INDICES]]
// CHECK: %[[POSITION:.*]] = arith.index_cast %[[INDEX]]
// CHECK: %[[WRAPPED:.*]] = arith.addi %[[POSITION]], %[[EXTENT]]
// CHECK: %[[PLACE:.*]] = arith.select %{{.*}}, %[[WRAPPED]], %[[POSITION]]
// CHECK: tensor.extract %[[DATA]][%[[PLACE]], %{{.*}}]
func.func @gather(%data: tensor<?x4xf32>, %indices: tensor<3xi64>) -> tensor<3x4xf32> {
  %y = onnx.Gather(%data, %indices) : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// Tests that a constant index is a slice, without a check.
// CHECK-LABEL: func.func @gather_constant
// CHECK-NOT: cf.assert
// CHECK: tensor.extract_slice %{{.*}}[0, 4] [%{{.*}}, 1] [1, 1] : tensor<?x5xf32> to tensor<?xf32>
func.func @gather_constant(%data: tensor<?x5xf32>) -> tensor<?xf32> {
  %last = onnx.Constant() {value = dense<-1> : tensor<i64>} : () -> tensor<i64>
  %y = onnx.Gather(%data, %last) {axis = 1 : i64} : (tensor<?x5xf32>, tensor<i64>) -> tensor<?xf32>
  return %y : tensor<?xf32>
}

// -----

// Tests that the index replaces the coordinate of the axis.
// CHECK-LABEL: func.func @gather_elements
// CHECK: cf.assert
// CHECK: %[[ROW:.*]] = linalg.index 0
// CHECK: %[[PLACE:.*]] = arith.select
// CHECK: tensor.extract %{{.*}}[%[[ROW]], %[[PLACE]]] : tensor<?x8xf32>
func.func @gather_elements(%data: tensor<?x8xf32>, %indices: tensor<?x2xi64>) -> tensor<?x2xf32> {
  %y = onnx.GatherElements(%data, %indices) {axis = 1 : i64} : (tensor<?x8xf32>, tensor<?x2xi64>) -> tensor<?x2xf32>
  return %y : tensor<?x2xf32>
}

// -----

// Tests that batch dimensions of GatherND come before the index tuples.
// CHECK-LABEL: func.func @gather_nd
// CHECK: %[[BATCH:.*]] = linalg.index 0
// CHECK: %[[REST:.*]] = linalg.index 2
// CHECK: tensor.extract %{{.*}}[%[[BATCH]], %{{.*}}, %[[REST]]] : tensor<2x3x4xf32>
func.func @gather_nd(%data: tensor<2x3x4xf32>, %indices: tensor<2x5x1xi64>) -> tensor<2x5x4xf32> {
  %y = onnx.GatherND(%data, %indices) {batch_dims = 1 : i64} : (tensor<2x3x4xf32>, tensor<2x5x1xi64>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}

// -----

// Tests that additions to the same place are carried from one to the next.
// CHECK-LABEL: func.func @scatter_elements
// CHECK: scf.for
// CHECK: scf.for {{.*}} iter_args(%[[CARRIED:.*]] = %{{.*}})
// CHECK: %[[OLD:.*]] = tensor.extract %[[CARRIED]]
// CHECK: %[[NEW:.*]] = arith.addf %[[OLD]], %{{.*}}
// CHECK: tensor.insert %[[NEW]] into %[[CARRIED]]
func.func @scatter_elements(%data: tensor<3x4xf32>, %indices: tensor<2x4xi64>, %updates: tensor<2x4xf32>) -> tensor<3x4xf32> {
  %y = onnx.ScatterElements(%data, %indices, %updates) {reduction = "add"}
       : (tensor<3x4xf32>, tensor<2x4xi64>, tensor<2x4xf32>) -> tensor<3x4xf32>
  return %y : tensor<3x4xf32>
}

// -----

// Tests that ScatterND replaces whole rows.
// CHECK-LABEL: func.func @scatter_nd
// CHECK: cf.assert
// CHECK: scf.for
// CHECK: scf.for %[[COLUMN:[a-z0-9]+]] =
// CHECK: tensor.insert %{{.*}} into %{{.*}}[%{{.*}}, %[[COLUMN]]] : tensor<?x4xf32>
func.func @scatter_nd(%data: tensor<?x4xf32>, %indices: tensor<2x1xi64>, %updates: tensor<2x4xf32>) -> tensor<?x4xf32> {
  %y = onnx.ScatterND(%data, %indices, %updates) : (tensor<?x4xf32>, tensor<2x1xi64>, tensor<2x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// -----

// Tests that an extent which only the type of the result states is checked.
// CHECK-LABEL: func.func @stated_extent
// CHECK: cf.assert %{{.*}}, "a tensor has another shape than the model states"
// CHECK: return %{{.*}} : tensor<6xf32>
func.func @stated_extent(%data: tensor<8xf32>, %indices: tensor<?xi64>) -> tensor<6xf32> {
  %y = onnx.GatherElements(%data, %indices) : (tensor<8xf32>, tensor<?xi64>) -> tensor<6xf32>
  return %y : tensor<6xf32>
}
