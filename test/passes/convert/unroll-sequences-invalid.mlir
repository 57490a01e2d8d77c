// RUN: moe-opt %s -split-input-file -moe-unroll-sequences -verify-diagnostics

// Tests that a position only a run can tell is an error.
func.func @position(%a: tensor<4xf32>, %i: tensor<i64>) -> tensor<4xf32> {
  %s = onnx.SequenceConstruct(%a, %a) : (tensor<4xf32>, tensor<4xf32>) -> !onnx.sequence<tensor<4xf32>>
  // expected-error @below {{expected a position in the sequence that is known before the run}}
  %y = onnx.SequenceAt(%s, %i) : (!onnx.sequence<tensor<4xf32>>, tensor<i64>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Tests that a position is one of the sequence.
func.func @range(%a: tensor<4xf32>) -> tensor<4xf32> {
  %i = onnx.Constant() {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %s = onnx.SequenceConstruct(%a, %a) : (tensor<4xf32>, tensor<4xf32>) -> !onnx.sequence<tensor<4xf32>>
  // expected-error @below {{expected a position in [-2, 1], got 2}}
  %y = onnx.SequenceAt(%s, %i) : (!onnx.sequence<tensor<4xf32>>, tensor<i64>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}

// -----

// Tests that a loop over sequences has a known number of turns.
func.func @turns(%n: tensor<i64>, %a: tensor<4xf32>) -> tensor<i64> {
  %none = onnx.NoValue : none
  %s = onnx.SequenceConstruct(%a) : (tensor<4xf32>) -> !onnx.sequence<tensor<4xf32>>
  // expected-error @below {{expected a loop over sequences with a number of turns, at most 1024, that is known before the run}}
  %all = onnx.Loop(%n, %none, %s) {
  ^bb0(%turn: tensor<i64>, %before: tensor<i1>, %list: !onnx.sequence<tensor<4xf32>>):
    onnx.Yield %before, %list : tensor<i1>, !onnx.sequence<tensor<4xf32>>
  } : (tensor<i64>, none, !onnx.sequence<tensor<4xf32>>) -> !onnx.sequence<tensor<4xf32>>
  %y = onnx.SequenceLength(%all) : (!onnx.sequence<tensor<4xf32>>) -> tensor<i64>
  return %y : tensor<i64>
}

// -----

// Tests that a split of an extent which only a run can tell is an error.
func.func @extent(%x: tensor<?xf32>) -> tensor<i64> {
  %none = onnx.NoValue : none
  // expected-error @below {{expected a sequence or optional value of which is known before the run what it holds}}
  %s = onnx.SplitToSequence(%x, %none) : (tensor<?xf32>, none) -> !onnx.sequence<tensor<1xf32>>
  // expected-error @below {{expected a sequence or optional value of which is known before the run what it holds}}
  %y = onnx.SequenceLength(%s) : (!onnx.sequence<tensor<1xf32>>) -> tensor<i64>
  return %y : tensor<i64>
}
