// RUN: moe-opt %s -split-input-file -convert-onnx-to-linalg -verify-diagnostics

// Tests that what a Scan collects along another axis than the first has a shape that is known.
func.func @outputs(%rows: tensor<?x?xf32>) -> tensor<?x?xf32> {
  // expected-error @+1 {{expected results of static shape in each turn, got 'tensor<?xf32>'}}
  %y = onnx.Scan(%rows) {
  ^bb0(%row: tensor<?xf32>):
    onnx.Yield %row : tensor<?xf32>
  } {num_scan_inputs = 1 : i64, scan_output_axes = array<i64: 1>} : (tensor<?x?xf32>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Tests that the state of a loop keeps its shape.
func.func @state(%limit: tensor<i64>, %x: tensor<2xf32>) -> tensor<2xf32> {
  %none = onnx.NoValue : none
  // expected-error @+1 {{expected a value of type 'tensor<2xf32>', got 'tensor<3xf32>'}}
  %y = onnx.Loop(%limit, %none, %x) {
  ^bb0(%turn: tensor<i64>, %before: tensor<i1>, %state: tensor<2xf32>):
    %longer = onnx.Constant() {value = dense<0.0> : tensor<3xf32>} : () -> tensor<3xf32>
    onnx.Yield %before, %longer : tensor<i1>, tensor<3xf32>
  } : (tensor<i64>, none, tensor<2xf32>) -> tensor<2xf32>
  return %y : tensor<2xf32>
}

// -----

// Tests that a result cannot have another static shape than its operator computes.
func.func @result(%x: tensor<2xf32>) -> tensor<3xf32> {
  // expected-error @+1 {{expected a result of type 'tensor<3xf32>', got 'tensor<2xf32>'}}
  %y = onnx.Identity(%x) : (tensor<2xf32>) -> tensor<3xf32>
  return %y : tensor<3xf32>
}

// -----

// Tests that the body of a Scan has an argument for each operand.
func.func @arguments(%x: tensor<4xf32>, %rows: tensor<?x4xf32>) -> tensor<4xf32> {
  // expected-error @+1 {{expected between 1 and 2 scanned inputs and as many arguments, got 1 and 1}}
  %y = onnx.Scan(%x, %rows) {
  ^bb0(%state: tensor<4xf32>):
    onnx.Yield %state : tensor<4xf32>
  } {num_scan_inputs = 1 : i64} : (tensor<4xf32>, tensor<?x4xf32>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
