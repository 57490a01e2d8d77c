// RUN: moe-opt --convert-onnx-to-linalg %s -split-input-file -verify-diagnostics

// Tests that there is a term for each operand.
func.func @terms(%a: tensor<2x3xf32>) -> tensor<2x3xf32> {
  // expected-error @below {{expected an equation of 1 terms, got 'ij,jk->ik'}}
  %y = onnx.Einsum(%a) {equation = "ij,jk->ik"} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  return %y : tensor<2x3xf32>
}

// -----

// Tests that a term has a label for each dimension.
func.func @labels(%a: tensor<2x3xf32>) -> tensor<2xf32> {
  // expected-error @below {{expected a term of 2 labels, got 'i'}}
  %y = onnx.Einsum(%a) {equation = "i->i"} : (tensor<2x3xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

// Tests that a label has one extent.
func.func @extents(%a: tensor<2x3xf32>, %b: tensor<4x5xf32>) -> tensor<2x5xf32> {
  // expected-error @below {{expected equal extents of label 'j', got 3 and 4}}
  %y = onnx.Einsum(%a, %b) {equation = "ij,jk->ik"} : (tensor<2x3xf32>, tensor<4x5xf32>) -> tensor<2x5xf32>
  return %y : tensor<2x5xf32>
}

// -----

// Tests that the result has no label of its own.
func.func @result_label(%a: tensor<2xf32>) -> tensor<2x2xf32> {
  // expected-error @below {{expected the labels of the result among those of the operands, got 'k'}}
  %y = onnx.Einsum(%a) {equation = "i->ik"} : (tensor<2xf32>) -> tensor<2x2xf32>
  return %y : tensor<2x2xf32>
}
