// RUN: moe-opt %s -split-input-file -convert-onnx-to-linalg -canonicalize -cse | FileCheck %s

// Tests that each branch of an If becomes a branch, the else region first in onnx, second here.
// CHECK-LABEL: func.func @if(
// CHECK:         scf.if
// CHECK:           arith.addf
// CHECK:         else
// CHECK:           arith.mulf
func.func @if(%condition: tensor<i1>, %x: tensor<4xf32>) -> tensor<4xf32> {
  %y = onnx.If(%condition) {
    %product = onnx.Mul(%x, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %product : tensor<4xf32>
  } {
    %sum = onnx.Add(%x, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %sum : tensor<4xf32>
  } : (tensor<i1>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Tests that a Scan reads one slice in each turn and writes its outputs backwards if asked to.
// CHECK-LABEL: func.func @scan(
// CHECK-SAME:      %[[STATE:.*]]: tensor<4xf32>, %[[ROWS:.*]]: tensor<?x4xf32>
// CHECK:         %[[COUNT:.*]] = tensor.dim %[[ROWS]]
// CHECK:         scf.for %[[TURN:.*]] = %{{.*}} to %[[COUNT]]
// CHECK-SAME:        %[[STATE]]
// CHECK:           tensor.extract_slice %[[ROWS]][%[[TURN]], 0] [1, 4] [1, 1]
// CHECK:           %[[POSITION:.*]] = arith.subi %{{.*}}, %[[TURN]]
// CHECK:           tensor.insert_slice %{{.*}} into %{{.*}}[%[[POSITION]], 0] [1, 4] [1, 1]
func.func @scan(%state: tensor<4xf32>, %rows: tensor<?x4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>) {
  %last:2 = onnx.Scan(%state, %rows) {
  ^bb0(%sum: tensor<4xf32>, %row: tensor<4xf32>):
    %next = onnx.Add(%sum, %row) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %next, %next : tensor<4xf32>, tensor<4xf32>
  } {num_scan_inputs = 1 : i64, scan_output_directions = array<i64: 1>} : (tensor<4xf32>, tensor<?x4xf32>) -> (tensor<4xf32>, tensor<?x4xf32>)
  return %last#0, %last#1 : tensor<4xf32>, tensor<?x4xf32>
}

// -----

// Tests that a Loop whose condition stays true is counted.
// CHECK-LABEL: func.func @counted(
// CHECK:         scf.for
// CHECK-NOT:     scf.while
func.func @counted(%limit: tensor<i64>, %x: tensor<f32>) -> tensor<f32> {
  %none = onnx.NoValue : none
  %y = onnx.Loop(%limit, %none, %x) {
  ^bb0(%turn: tensor<i64>, %before: tensor<i1>, %state: tensor<f32>):
    %next = onnx.Add(%state, %state) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    onnx.Yield %before, %next : tensor<i1>, tensor<f32>
  } : (tensor<i64>, none, tensor<f32>) -> tensor<f32>
  return %y : tensor<f32>
}

// -----

// Tests that a Loop with a computed condition looks at the limit and the condition before each turn.
// CHECK-LABEL: func.func @conditional(
// CHECK:         scf.while
// CHECK:           %[[IN_LIMIT:.*]] = arith.cmpi slt
// CHECK:           %[[PROCEED:.*]] = arith.andi %{{.*}}, %[[IN_LIMIT]]
// CHECK:           scf.condition(%[[PROCEED]])
func.func @conditional(%limit: tensor<i64>, %go: tensor<i1>, %x: tensor<f32>) -> tensor<f32> {
  %y = onnx.Loop(%limit, %go, %x) {
  ^bb0(%turn: tensor<i64>, %before: tensor<i1>, %state: tensor<f32>):
    %next = onnx.Add(%state, %state) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %more = onnx.Less(%next, %x) : (tensor<f32>, tensor<f32>) -> tensor<i1>
    onnx.Yield %more, %next : tensor<i1>, tensor<f32>
  } : (tensor<i64>, tensor<i1>, tensor<f32>) -> tensor<f32>
  return %y : tensor<f32>
}

// -----

// Tests that what a Loop with a condition collects grows by one slice in each turn.
// CHECK-LABEL: func.func @growing(
// CHECK:         scf.while (%{{.*}} = %c0, %{{.*}}, %[[ALL:.*]] = %{{.*}}) : (index, i1, tensor<f32>, tensor<?x2xf32>)
// CHECK:         tensor.insert_slice
// CHECK:         scf.yield
func.func @growing(%limit: tensor<i64>, %go: tensor<i1>, %x: tensor<f32>, %row: tensor<2xf32>) -> (tensor<f32>, tensor<?x2xf32>) {
  %y:2 = onnx.Loop(%limit, %go, %x) {
  ^bb0(%turn: tensor<i64>, %before: tensor<i1>, %state: tensor<f32>):
    %next = onnx.Add(%state, %x) : (tensor<f32>, tensor<f32>) -> tensor<f32>
    %more = onnx.Less(%next, %x) : (tensor<f32>, tensor<f32>) -> tensor<i1>
    onnx.Yield %more, %next, %row : tensor<i1>, tensor<f32>, tensor<2xf32>
  } : (tensor<i64>, tensor<i1>, tensor<f32>) -> (tensor<f32>, tensor<?x2xf32>)
  return %y#0, %y#1 : tensor<f32>, tensor<?x2xf32>
}

// -----

// Tests that slices whose shape only a run tells are appended, all of the shape of the first.
// CHECK-LABEL: func.func @dynamic_slices(
// CHECK-SAME:      %{{.*}}: tensor<i64>, %[[SLICE:.*]]: tensor<?xf32>
// CHECK:         scf.while
// CHECK:         ^bb0(%{{.*}}: index, %[[ALL:.*]]: tensor<?x?xf32>):
// CHECK:           cf.assert
// CHECK:           tensor.insert_slice %[[ALL]] into
// CHECK:           tensor.insert_slice %[[SLICE]] into
func.func @dynamic_slices(%limit: tensor<i64>, %x: tensor<?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>) {
  %none = onnx.NoValue : none
  %y:2 = onnx.Loop(%limit, %none, %x) {
  ^bb0(%turn: tensor<i64>, %before: tensor<i1>, %state: tensor<?xf32>):
    onnx.Yield %before, %state, %state : tensor<i1>, tensor<?xf32>, tensor<?xf32>
  } : (tensor<i64>, none, tensor<?xf32>) -> (tensor<?xf32>, tensor<?x?xf32>)
  return %y#0, %y#1 : tensor<?xf32>, tensor<?x?xf32>
}
