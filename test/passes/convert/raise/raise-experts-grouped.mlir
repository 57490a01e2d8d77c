// RUN: moe-opt %s -split-input-file -moe-raise-experts -canonicalize | FileCheck %s

// Tests that sorting by expert, products of ranges and the way back become one operation on the unsorted ids.
// CHECK-LABEL: func.func @sorted_rows(
// CHECK-SAME:      %[[X:[a-z0-9]*]]: tensor<?x4xf32>, %[[IDS:[a-z0-9]*]]: tensor<?x2xi64>, %[[WEIGHTS:[a-z0-9]*]]: tensor<?x2xf32>
// CHECK-DAG:     %[[ROUTING:.*]] = moe.assign %[[IDS]], %[[WEIGHTS]]
// CHECK-DAG:     %[[UP:.*]] = moe.weight "fc1" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [12, 3, 1]>] : tensor<2x4x3xf32>
// CHECK-DAG:     %[[DOWN:.*]] = moe.weight "fc2" [#moe.view<"m.onnx", offset = 96, element = f32, strides = [12, 4, 1]>] : tensor<2x3x4xf32>
// CHECK:         %[[OUT:.*]] = moe.experts %[[X]], %[[ROUTING]] up(%[[UP]] : {{.*}}) down(%[[DOWN]] :
// CHECK-SAME:        activation = #moe.activation<relu>
// CHECK-NEXT:    return %[[OUT]]
func.func @sorted_rows(%x: tensor<?x4xf32>, %ids: tensor<?x2xi64>, %w: tensor<?x2xf32>, %count: tensor<i64>) -> tensor<?x4xf32> {
  %none = onnx.NoValue : none
  %flat = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %axis = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %rows3 = onnx.Constant() {value = dense<[-1, 2, 4]> : tensor<3xi64>} : () -> tensor<3xi64>
  %zero = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %one = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %two = onnx.Constant() {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %last = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %width = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %unit = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %zeros = onnx.Constant() {value = dense<0.0> : tensor<2xf32>} : () -> tensor<2xf32>
  %w1a = moe.weight "fc1" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %w1b = moe.weight "fc1" [#moe.view<"m.onnx", offset = 48, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %w2a = moe.weight "fc2" [#moe.view<"m.onnx", offset = 96, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %w2b = moe.weight "fc2" [#moe.view<"m.onnx", offset = 144, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %i = onnx.Reshape(%ids, %flat) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %n = onnx.Shape(%i) : (tensor<?xi64>) -> tensor<1xi64>
  %sorted, %order = onnx.TopK(%i, %n) {largest = 0 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
  %t = onnx.Div(%order, %two) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %tokens = onnx.Gather(%x, %t) : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %f = onnx.Cast(%sorted) {to = 1 : i64} : (tensor<?xi64>) -> tensor<?xf32>
  %d = onnx.Div(%f, %width) : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %b = onnx.Cast(%d) {to = 7 : i64} : (tensor<?xf32>) -> tensor<?xi64>
  %bins = onnx.Clip(%b, %zero, %last) : (tensor<?xi64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %ones = onnx.Expand(%unit, %n) : (tensor<f32>, tensor<1xi64>) -> tensor<?xf32>
  %counts = onnx.ScatterElements(%zeros, %bins, %ones) {reduction = "add"} : (tensor<2xf32>, tensor<?xi64>, tensor<?xf32>) -> tensor<2xf32>
  %c = onnx.Cast(%counts) {to = 7 : i64} : (tensor<2xf32>) -> tensor<2xi64>
  %sums = onnx.CumSum(%c, %zero) : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
  %ends:2 = onnx.Split(%sums, %none) {num_outputs = 2 : i64} : (tensor<2xi64>, none) -> (tensor<1xi64>, tensor<1xi64>)
  %end0 = onnx.Squeeze(%ends#0, %none) : (tensor<1xi64>, none) -> tensor<i64>
  %end1 = onnx.Squeeze(%ends#1, %none) : (tensor<1xi64>, none) -> tensor<i64>
  %r0 = onnx.Range(%zero, %end0, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %r1 = onnx.Range(%end0, %end1, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %x0 = onnx.Gather(%tokens, %r0) : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %x1 = onnx.Gather(%tokens, %r1) : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %h0 = onnx.MatMul(%x0, %w1a) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %h1 = onnx.MatMul(%x1, %w1b) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %h = onnx.Concat(%h0, %h1) {axis = 0 : i64} : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  %a = onnx.Relu(%h) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %a0 = onnx.Gather(%a, %r0) : (tensor<?x3xf32>, tensor<?xi64>) -> tensor<?x3xf32>
  %a1 = onnx.Gather(%a, %r1) : (tensor<?x3xf32>, tensor<?xi64>) -> tensor<?x3xf32>
  %y0 = onnx.MatMul(%a0, %w2a) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %y1 = onnx.MatMul(%a1, %w2b) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %y = onnx.Concat(%y0, %y1) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %flatWeights = onnx.Reshape(%w, %flat) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %orderedWeights = onnx.Gather(%flatWeights, %order) : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %column = onnx.Unsqueeze(%orderedWeights, %axis) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %weighted = onnx.Mul(%y, %column) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %blank = onnx.Expand(%zero, %n) : (tensor<i64>, tensor<1xi64>) -> tensor<?xi64>
  %positions = onnx.Range(%zero, %count, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %places = onnx.Unsqueeze(%order, %axis) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %inverse = onnx.ScatterND(%blank, %places, %positions) : (tensor<?xi64>, tensor<?x1xi64>, tensor<?xi64>) -> tensor<?xi64>
  %restored = onnx.Gather(%weighted, %inverse) : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %slots = onnx.Reshape(%restored, %rows3) : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x2x4xf32>
  %out = onnx.ReduceSum(%slots, %axis) {keepdims = 0 : i64} : (tensor<?x2x4xf32>, tensor<1xi64>) -> tensor<?x4xf32>
  return %out : tensor<?x4xf32>
}

// -----

// Tests that a histogram that counts an expert in the bin of another is no offset table.
// CHECK-LABEL: func.func @wrong_bins(
// CHECK-NOT:     moe.experts
func.func @wrong_bins(%x: tensor<?x4xf32>, %ids: tensor<?x2xi64>, %w: tensor<?x2xf32>, %count: tensor<i64>) -> tensor<?x4xf32> {
  %none = onnx.NoValue : none
  %flat = onnx.Constant() {value = dense<-1> : tensor<1xi64>} : () -> tensor<1xi64>
  %axis = onnx.Constant() {value = dense<1> : tensor<1xi64>} : () -> tensor<1xi64>
  %rows3 = onnx.Constant() {value = dense<[-1, 2, 4]> : tensor<3xi64>} : () -> tensor<3xi64>
  %zero = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %one = onnx.Constant() {value = dense<1> : tensor<i64>} : () -> tensor<i64>
  %two = onnx.Constant() {value = dense<2> : tensor<i64>} : () -> tensor<i64>
  %last = onnx.Constant() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
  %width = onnx.Constant() {value = dense<0.5> : tensor<f32>} : () -> tensor<f32>
  %unit = onnx.Constant() {value = dense<1.0> : tensor<f32>} : () -> tensor<f32>
  %zeros = onnx.Constant() {value = dense<0.0> : tensor<2xf32>} : () -> tensor<2xf32>
  %w1a = moe.weight "fc1" [#moe.view<"m.onnx", offset = 0, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %w1b = moe.weight "fc1" [#moe.view<"m.onnx", offset = 48, element = f32, strides = [3, 1]>] : tensor<4x3xf32>
  %w2a = moe.weight "fc2" [#moe.view<"m.onnx", offset = 96, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %w2b = moe.weight "fc2" [#moe.view<"m.onnx", offset = 144, element = f32, strides = [4, 1]>] : tensor<3x4xf32>
  %i = onnx.Reshape(%ids, %flat) : (tensor<?x2xi64>, tensor<1xi64>) -> tensor<?xi64>
  %n = onnx.Shape(%i) : (tensor<?xi64>) -> tensor<1xi64>
  %sorted, %order = onnx.TopK(%i, %n) {largest = 0 : i64} : (tensor<?xi64>, tensor<1xi64>) -> (tensor<?xi64>, tensor<?xi64>)
  %t = onnx.Div(%order, %two) : (tensor<?xi64>, tensor<i64>) -> tensor<?xi64>
  %tokens = onnx.Gather(%x, %t) : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %f = onnx.Cast(%sorted) {to = 1 : i64} : (tensor<?xi64>) -> tensor<?xf32>
  %d = onnx.Div(%f, %width) : (tensor<?xf32>, tensor<f32>) -> tensor<?xf32>
  %b = onnx.Cast(%d) {to = 7 : i64} : (tensor<?xf32>) -> tensor<?xi64>
  %bins = onnx.Clip(%b, %zero, %last) : (tensor<?xi64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %ones = onnx.Expand(%unit, %n) : (tensor<f32>, tensor<1xi64>) -> tensor<?xf32>
  %counts = onnx.ScatterElements(%zeros, %bins, %ones) {reduction = "add"} : (tensor<2xf32>, tensor<?xi64>, tensor<?xf32>) -> tensor<2xf32>
  %c = onnx.Cast(%counts) {to = 7 : i64} : (tensor<2xf32>) -> tensor<2xi64>
  %sums = onnx.CumSum(%c, %zero) : (tensor<2xi64>, tensor<i64>) -> tensor<2xi64>
  %ends:2 = onnx.Split(%sums, %none) {num_outputs = 2 : i64} : (tensor<2xi64>, none) -> (tensor<1xi64>, tensor<1xi64>)
  %end0 = onnx.Squeeze(%ends#0, %none) : (tensor<1xi64>, none) -> tensor<i64>
  %end1 = onnx.Squeeze(%ends#1, %none) : (tensor<1xi64>, none) -> tensor<i64>
  %r0 = onnx.Range(%zero, %end0, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %r1 = onnx.Range(%end0, %end1, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %x0 = onnx.Gather(%tokens, %r0) : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %x1 = onnx.Gather(%tokens, %r1) : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %h0 = onnx.MatMul(%x0, %w1a) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %h1 = onnx.MatMul(%x1, %w1b) : (tensor<?x4xf32>, tensor<4x3xf32>) -> tensor<?x3xf32>
  %h = onnx.Concat(%h0, %h1) {axis = 0 : i64} : (tensor<?x3xf32>, tensor<?x3xf32>) -> tensor<?x3xf32>
  %a = onnx.Relu(%h) : (tensor<?x3xf32>) -> tensor<?x3xf32>
  %a0 = onnx.Gather(%a, %r0) : (tensor<?x3xf32>, tensor<?xi64>) -> tensor<?x3xf32>
  %a1 = onnx.Gather(%a, %r1) : (tensor<?x3xf32>, tensor<?xi64>) -> tensor<?x3xf32>
  %y0 = onnx.MatMul(%a0, %w2a) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %y1 = onnx.MatMul(%a1, %w2b) : (tensor<?x3xf32>, tensor<3x4xf32>) -> tensor<?x4xf32>
  %y = onnx.Concat(%y0, %y1) {axis = 0 : i64} : (tensor<?x4xf32>, tensor<?x4xf32>) -> tensor<?x4xf32>
  %flatWeights = onnx.Reshape(%w, %flat) : (tensor<?x2xf32>, tensor<1xi64>) -> tensor<?xf32>
  %orderedWeights = onnx.Gather(%flatWeights, %order) : (tensor<?xf32>, tensor<?xi64>) -> tensor<?xf32>
  %column = onnx.Unsqueeze(%orderedWeights, %axis) : (tensor<?xf32>, tensor<1xi64>) -> tensor<?x1xf32>
  %weighted = onnx.Mul(%y, %column) : (tensor<?x4xf32>, tensor<?x1xf32>) -> tensor<?x4xf32>
  %blank = onnx.Expand(%zero, %n) : (tensor<i64>, tensor<1xi64>) -> tensor<?xi64>
  %positions = onnx.Range(%zero, %count, %one) : (tensor<i64>, tensor<i64>, tensor<i64>) -> tensor<?xi64>
  %places = onnx.Unsqueeze(%order, %axis) : (tensor<?xi64>, tensor<1xi64>) -> tensor<?x1xi64>
  %inverse = onnx.ScatterND(%blank, %places, %positions) : (tensor<?xi64>, tensor<?x1xi64>, tensor<?xi64>) -> tensor<?xi64>
  %restored = onnx.Gather(%weighted, %inverse) : (tensor<?x4xf32>, tensor<?xi64>) -> tensor<?x4xf32>
  %slots = onnx.Reshape(%restored, %rows3) : (tensor<?x4xf32>, tensor<3xi64>) -> tensor<?x2x4xf32>
  %out = onnx.ReduceSum(%slots, %axis) {keepdims = 0 : i64} : (tensor<?x2x4xf32>, tensor<1xi64>) -> tensor<?x4xf32>
  return %out : tensor<?x4xf32>
}
