// RUN: moe-opt %s -split-input-file -moe-unroll-sequences | FileCheck %s

// Tests that equal parts of a known extent, the last one smaller, become results of a Split.
// CHECK-LABEL: func.func @split
// CHECK: %[[SIZES:.*]] = onnx.Constant() {value = dense<[2, 2, 1]> : tensor<3xi64>} :
// CHECK: %[[PARTS:.*]]:3 = onnx.Split(%{{.*}}, %[[SIZES]]) :
// CHECK-SAME: -> (tensor<2x?xf32>, tensor<2x?xf32>, tensor<1x?xf32>)
// CHECK: %[[LAST:.*]] = onnx.Identity(%[[PARTS]]#2)
// CHECK: return %[[LAST]]
func.func @split(%x: tensor<5x?xf32>) -> tensor<?x?xf32> {
  %size = onnx.Constant() {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %last = onnx.Constant() {value = dense<-1> : tensor<i64>} : () -> tensor<i64>
  %parts = onnx.SplitToSequence(%x, %size) : (tensor<5x?xf32>, tensor<i64>) -> !onnx.sequence<tensor<?x?xf32>>
  %y = onnx.SequenceAt(%parts, %last) : (!onnx.sequence<tensor<?x?xf32>>, tensor<i64>) -> tensor<?x?xf32>
  return %y : tensor<?x?xf32>
}

// -----

// Tests that tensors are inserted at the end or at a position, erased, counted and stacked.
// CHECK-LABEL: func.func @build
// CHECK-SAME: %[[A:[a-z0-9]+]]: tensor<4xf32>, %[[B:[a-z0-9]+]]: tensor<4xf32>, %[[C:[a-z0-9]+]]: tensor<4xf32>
// CHECK: %[[COUNT:.*]] = onnx.Constant() {value = dense<2> : tensor<i64>}
// CHECK: %[[FIRST:.*]] = onnx.Unsqueeze(%[[C]],
// CHECK: %[[SECOND:.*]] = onnx.Unsqueeze(%[[A]],
// CHECK: %[[Y:.*]] = onnx.Concat(%[[FIRST]], %[[SECOND]]) {axis = 0 : i64}
// CHECK: return %[[Y]], %[[COUNT]]
func.func @build(%a: tensor<4xf32>, %b: tensor<4xf32>, %c: tensor<4xf32>) -> (tensor<2x4xf32>, tensor<i64>) {
  %none = onnx.NoValue : none
  %zero = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %empty = onnx.SequenceEmpty() : () -> !onnx.sequence<tensor<4xf32>>
  %one = onnx.SequenceInsert(%empty, %a, %none) : (!onnx.sequence<tensor<4xf32>>, tensor<4xf32>, none) -> !onnx.sequence<tensor<4xf32>>
  %two = onnx.SequenceInsert(%one, %b, %none) : (!onnx.sequence<tensor<4xf32>>, tensor<4xf32>, none) -> !onnx.sequence<tensor<4xf32>>
  %three = onnx.SequenceInsert(%two, %c, %zero) : (!onnx.sequence<tensor<4xf32>>, tensor<4xf32>, tensor<i64>) -> !onnx.sequence<tensor<4xf32>>
  %left = onnx.SequenceErase(%three, %none) : (!onnx.sequence<tensor<4xf32>>, none) -> !onnx.sequence<tensor<4xf32>>
  %count = onnx.SequenceLength(%left) : (!onnx.sequence<tensor<4xf32>>) -> tensor<i64>
  %y = onnx.ConcatFromSequence(%left) {axis = 0 : i64, new_axis = 1 : i64} : (!onnx.sequence<tensor<4xf32>>) -> tensor<2x4xf32>
  return %y, %count : tensor<2x4xf32>, tensor<i64>
}

// -----

// Tests that a loop which collects tensors becomes copies of its body.
// CHECK-LABEL: func.func @loop
// CHECK-SAME: %[[X:.*]]: tensor<4xf32>
// CHECK-NOT: onnx.Loop
// CHECK: %[[FIRST:.*]] = onnx.Mul(%[[X]], %[[X]])
// CHECK: %[[SECOND:.*]] = onnx.Mul(%[[X]], %[[X]])
// CHECK: onnx.Concat(%[[FIRST]], %[[SECOND]])
func.func @loop(%x: tensor<4xf32>) -> tensor<8xf32> {
  %none = onnx.NoValue : none
  %turns = onnx.Constant() {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %empty = onnx.SequenceEmpty() : () -> !onnx.sequence<tensor<4xf32>>
  %all = onnx.Loop(%turns, %none, %empty) {
  ^bb0(%turn: tensor<i64>, %before: tensor<i1>, %list: !onnx.sequence<tensor<4xf32>>):
    %more = onnx.Identity(%before) : (tensor<i1>) -> tensor<i1>
    %next = onnx.Mul(%x, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %none_inside = onnx.NoValue : none
    %longer = onnx.SequenceInsert(%list, %next, %none_inside) : (!onnx.sequence<tensor<4xf32>>, tensor<4xf32>, none) -> !onnx.sequence<tensor<4xf32>>
    onnx.Yield %more, %longer : tensor<i1>, !onnx.sequence<tensor<4xf32>>
  } : (tensor<i64>, none, !onnx.sequence<tensor<4xf32>>) -> !onnx.sequence<tensor<4xf32>>
  %y = onnx.ConcatFromSequence(%all) {axis = 0 : i64} : (!onnx.sequence<tensor<4xf32>>) -> tensor<8xf32>
  return %y : tensor<8xf32>
}

// -----

// Tests that an If with sequences becomes one with tensors, and that a sequence is returned as numbered results.
// CHECK-LABEL: func.func @branches
// CHECK-SAME: -> (tensor<4xf32> {moe.name = "y.0"}, tensor<4xf32> {moe.name = "y.1"})
// CHECK: %[[Y:.*]]:2 = onnx.If
// CHECK: onnx.Yield %{{.*}}, %{{.*}} : tensor<4xf32>, tensor<4xf32>
// CHECK: return %[[Y]]#0, %[[Y]]#1
func.func @branches(%c: tensor<i1>, %a: tensor<4xf32>, %b: tensor<4xf32>) -> (!onnx.sequence<tensor<4xf32>> {moe.name = "y"}) {
  %y = onnx.If(%c) {
    %0 = onnx.SequenceConstruct(%a, %b) : (tensor<4xf32>, tensor<4xf32>) -> !onnx.sequence<tensor<4xf32>>
    onnx.Yield %0 : !onnx.sequence<tensor<4xf32>>
  } {
    %0 = onnx.SequenceConstruct(%b, %a) : (tensor<4xf32>, tensor<4xf32>) -> !onnx.sequence<tensor<4xf32>>
    onnx.Yield %0 : !onnx.sequence<tensor<4xf32>>
  } : (tensor<i1>) -> !onnx.sequence<tensor<4xf32>>
  return %y : !onnx.sequence<tensor<4xf32>>
}

// -----

// Tests that whether an optional value holds something decides an If.
// CHECK-LABEL: func.func @optional
// CHECK-SAME: %[[X:.*]]: tensor<4xf32>
// CHECK-NOT: onnx.If
// CHECK: return %[[X]]
func.func @optional(%x: tensor<4xf32>) -> tensor<4xf32> {
  %o = onnx.Optional(%x) : (tensor<4xf32>) -> !onnx.optional<tensor<4xf32>>
  %c = onnx.OptionalHasElement(%o) : (!onnx.optional<tensor<4xf32>>) -> tensor<i1>
  %y = onnx.If(%c) {
    %0 = onnx.Neg(%x) : (tensor<4xf32>) -> tensor<4xf32>
    onnx.Yield %0 : tensor<4xf32>
  } {
    %0 = onnx.OptionalGetElement(%o) : (!onnx.optional<tensor<4xf32>>) -> tensor<4xf32>
    onnx.Yield %0 : tensor<4xf32>
  } : (tensor<i1>) -> tensor<4xf32>
  return %y : tensor<4xf32>
}
