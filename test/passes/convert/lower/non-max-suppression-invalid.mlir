// RUN: moe-opt --convert-onnx-to-linalg %s -verify-diagnostics

// Tests that boxes and scores have a batch.
func.func @rank(%boxes: tensor<6x4xf32>, %scores: tensor<1x2x6xf32>) -> tensor<?x3xi64> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected boxes and scores of rank 3, got 'tensor<6x4xf32>' and 'tensor<1x2x6xf32>'}}
  %y = onnx.NonMaxSuppression(%boxes, %scores, %none, %none, %none) : (tensor<6x4xf32>, tensor<1x2x6xf32>, none, none, none) -> tensor<?x3xi64>
  return %y : tensor<?x3xi64>
}
