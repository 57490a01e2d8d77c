// RUN: moe-opt --convert-onnx-to-linalg --canonicalize --cse --split-input-file %s | FileCheck %s

// Tests that the given statistics of the channels normalise in a run.
// CHECK-LABEL: func.func @inference
// CHECK-SAME: %[[X:[a-z0-9]+]]: tensor<2x3x4xf32>, %[[SCALE:.*]]: tensor<3xf32>, %[[BIAS:.*]]: tensor<3xf32>, %[[MEAN:.*]]: tensor<3xf32>, %[[VARIANCE:.*]]: tensor<3xf32>
// CHECK-NOT: "reduction"
// CHECK: math.sqrt
// CHECK-NOT: "reduction"
func.func @inference(%x: tensor<2x3x4xf32>, %scale: tensor<3xf32>, %bias: tensor<3xf32>, %mean: tensor<3xf32>, %variance: tensor<3xf32>) -> tensor<2x3x4xf32> {
  %y:3 = onnx.BatchNormalization(%x, %scale, %bias, %mean, %variance)
      : (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<2x3x4xf32>, none, none)
  return %y#0 : tensor<2x3x4xf32>
}

// -----

// Tests that training computes the statistics of the batch and mixes them with the given ones.
// CHECK-LABEL: func.func @training
// CHECK-COUNT-2: iterator_types = ["reduction", "parallel", "reduction"]
// CHECK: return %{{.*}}, %{{.*}} : tensor<2x3x4xf32>, tensor<3xf32>
func.func @training(%x: tensor<2x3x4xf32>, %v: tensor<3xf32>) -> (tensor<2x3x4xf32>, tensor<3xf32>) {
  %y:3 = onnx.BatchNormalization(%x, %v, %v, %v, %v) {training_mode = 1 : i64}
      : (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>, tensor<3xf32>) -> (tensor<2x3x4xf32>, tensor<3xf32>, tensor<3xf32>)
  return %y#0, %y#1 : tensor<2x3x4xf32>, tensor<3xf32>
}

// -----

// Tests that the squares of neighbouring channels are summed over a window of channels padded with zeros.
// CHECK-LABEL: func.func @response
// CHECK: tensor.insert_slice %{{.*}} into %{{.*}}[0, 1, 0] [2, 5, 4] [1, 1, 1] : tensor<2x5x4xf32> into tensor<2x7x4xf32>
// CHECK: iterator_types = ["parallel", "parallel", "parallel", "reduction"]
// CHECK: math.powf
func.func @response(%x: tensor<2x5x4xf32>) -> tensor<2x5x4xf32> {
  %y = onnx.LRN(%x) {size = 3 : i64} : (tensor<2x5x4xf32>) -> tensor<2x5x4xf32>
  return %y : tensor<2x5x4xf32>
}
