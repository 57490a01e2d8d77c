// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that both operands are matrices.
func.func @rank(%a: tensor<4xui8>, %b: tensor<4x3xi8>) -> tensor<3xi32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected operands of rank 2 or higher}}
  %y = onnx.MatMulInteger(%a, %b, %none, %none) : (tensor<4xui8>, tensor<4x3xi8>, none, none) -> tensor<3xi32>
  return %y : tensor<3xi32>
}

// -----

// Tests that the filters split into groups.
func.func @groups(%x: tensor<1x4x4xui8>, %w: tensor<3x2x2xui8>) -> tensor<1x3x3xi32> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected a number of filters divisible by 'group' 2, got 3}}
  %y = onnx.ConvInteger(%x, %w, %none, %none) {group = 2 : i64} : (tensor<1x4x4xui8>, tensor<3x2x2xui8>, none, none) -> tensor<1x3x3xi32>
  return %y : tensor<1x3x3xi32>
}
