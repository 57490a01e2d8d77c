// RUN: moe-opt --convert-onnx-to-linalg --canonicalize %s | FileCheck %s

// Tests that boxes are taken by score and strike out those that overlap them, and that the result is as long as the
// number of boxes found.
// CHECK-LABEL: func.func @suppress
// CHECK: scf.for
// CHECK: scf.for
// CHECK: arith.cmpf ogt
// CHECK: scf.if
// CHECK: tensor.insert
// CHECK: arith.divf
// CHECK: tensor.extract_slice %{{.*}}[0, 0] [%{{.*}}, 3] [1, 1]
func.func @suppress(%boxes: tensor<1x6x4xf32>, %scores: tensor<1x2x6xf32>, %most: tensor<1xi64>, %iou: tensor<1xf32>, %score: tensor<1xf32>) -> tensor<?x3xi64> {
  %y = onnx.NonMaxSuppression(%boxes, %scores, %most, %iou, %score)
      : (tensor<1x6x4xf32>, tensor<1x2x6xf32>, tensor<1xi64>, tensor<1xf32>, tensor<1xf32>) -> tensor<?x3xi64>
  return %y : tensor<?x3xi64>
}
