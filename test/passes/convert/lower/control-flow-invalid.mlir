// RUN: moe-opt %s -split-input-file -convert-onnx-to-linalg -verify-diagnostics

// Tests that what a Loop collects has one shape in all turns.
func.func @outputs(%limit: tensor<i64>, %go: tensor<i1>, %x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>) {
  // expected-error @+1 {{expected results of static shape in each turn, got 'tensor<?xf32>'}}
  %y:2 = onnx.Loop(%limit, %go, %x) {
  ^bb0(%turn: tensor<i64>, %before: tensor<i1>, %state: tensor<?xf32>):
    %more = onnx.Identity(%before) : (tensor<i1>) -> tensor<i1>
    onnx.Yield %more, %state, %state : tensor<i1>, tensor<?xf32>, tensor<?xf32>
  } : (tensor<i64>, tensor<i1>, tensor<?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>)
  return %y#0, %y#1 : tensor<?xf32>, tensor<?x?xf32>
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
